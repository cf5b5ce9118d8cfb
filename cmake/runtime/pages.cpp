#include "pages.h"

#include <cstdint>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace torchlite {

namespace {

thread_local bool is_at_once = false;

} // namespace

PagesAtOnce::PagesAtOnce() {
  is_at_once = true;
}

PagesAtOnce::~PagesAtOnce() {
  is_at_once = false;
}

#ifdef __linux__

namespace {

constexpr size_t large = 128 << 10; // what allocators take from the system itself
constexpr int populate_write = 23; // MADV_POPULATE_WRITE, since Linux 5.14

} // namespace

void take_pages(void* memory, size_t size) {
  if (!is_at_once || size < large) {
    return;
  }
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (start + page - 1) & ~(page - 1);
  const uintptr_t end = (start + size) & ~(page - 1);
  if (first < end) {
    madvise(reinterpret_cast<void*>(first), end - first, populate_write);
  }
}

#else

void take_pages(void* /*memory*/, size_t /*size*/) {}

#endif

// XNNPACK takes memory for packed weights here, and frees it with free(); see the patch 0050-pages-of-weights.
void* allocate_aligned(void* context, size_t alignment, size_t size);

void* allocate_aligned(void* /*context*/, size_t alignment, size_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) {
    return nullptr;
  }
  take_pages(memory, size);
  return memory;
}

} // namespace torchlite
