// Memory for tensors, for runtimes with builder's own core: without flags that fill it and without huge pages.

#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstdlib>
#ifdef __ANDROID__
#include <malloc.h>
#endif

namespace c10 {

void* alloc_cpu(size_t size) {
  if (size == 0) {
    return nullptr;
  }
  void* data = nullptr;
  // More than half of the address space is a negative number of bytes.
  if (static_cast<std::ptrdiff_t>(size) > 0) {
#ifdef __ANDROID__
    data = memalign(gAlignment, size);
#else
    if (posix_memalign(&data, gAlignment, size) != 0) {
      data = nullptr;
    }
#endif
  }
  TORCH_CHECK(data != nullptr, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", size, " bytes.");
  return data;
}

void free_cpu(void* data) {
  std::free(data);
}

} // namespace c10
