// What tensors are allocated with, for runtimes with builder's own core: no allocator of a thread's own, and nothing that
// reports what is allocated. Micro-kernels read beyond both ends of tensors, and large tensors begin at a line of the
// cache, as the patch 0046-aligned-tensors says.

#include <c10/core/CPUAllocator.h>
#include <c10/core/DeviceType.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>

#include <cstdint>

namespace c10 {
namespace {

constexpr size_t before = gAlignment; // as upstream's DefaultMobileCPUAllocator has them
constexpr size_t behind = 16;
#if defined(C10_MOBILE) && defined(__x86_64__)
constexpr size_t alignment_of_large = 64;
#else
constexpr size_t alignment_of_large = gAlignment;
#endif

void free_tensor(void* pointer) {
  free_cpu(pointer);
}

class TensorAllocator final : public Allocator {
 public:
  DataPtr allocate(size_t size) override {
    const Device cpu(DeviceType::CPU);
    if (size == 0) {
      return {nullptr, nullptr, &free_tensor, cpu};
    }
    const size_t alignment = size < 4096 ? gAlignment : alignment_of_large;
    const size_t whole = before + size + behind + alignment - gAlignment;
    // Where the sum overflows, there is not so much memory either.
    auto* const data = static_cast<uint8_t*>(alloc_cpu(whole < size ? size : whole));
    uint8_t* const start = data + before;
    return {start + (alignment - reinterpret_cast<uintptr_t>(start) % alignment) % alignment, data, &free_tensor, cpu};
  }

  DeleterFnPtr raw_deleter() const override {
    return &free_tensor;
  }

  bool is_simple_data_ptr(const DataPtr& pointer) const override {
    const auto between =
        static_cast<const uint8_t*>(pointer.get()) - static_cast<const uint8_t*>(pointer.get_context());
    return between >= static_cast<std::ptrdiff_t>(before) &&
        between < static_cast<std::ptrdiff_t>(before + alignment_of_large);
  }

  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
};

TensorAllocator allocator;

} // namespace

void NoDelete(void* /*pointer*/) {}

Allocator* GetCPUAllocator() {
  return GetAllocator(DeviceType::CPU);
}

void SetCPUAllocator(Allocator* other, uint8_t priority) {
  SetAllocator(DeviceType::CPU, other, priority);
}

Allocator* GetDefaultMobileCPUAllocator() {
  return &allocator;
}

Allocator* GetDefaultCPUAllocator() {
  return &allocator;
}

Allocator* GetCPUCachingAllocator() {
  return GetCPUAllocator();
}

REGISTER_ALLOCATOR(DeviceType::CPU, &allocator)

} // namespace c10
