#include "pages.h"

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

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

// ATen's allocator for tensors calls these; see the patch 0053-large-tensors. Memory of allocate_large is freed by the other,
// and null where the C library is asked.
void* allocate_large(size_t size);
void release_large(void* memory);

#ifdef __linux__

namespace {

constexpr size_t given_back = 32 << 20; // glibc's M_MMAP_THRESHOLD is at most this

// A block of pages, in the first of which it stands itself.
struct alignas(64) LargeBlock {
  size_t size;
};

std::mutex keeping_mutex;
int keeping = 0; // how often it has begun, and not ended
LargeBlock* kept = nullptr; // one at most, so that little more memory is needed than without it

void unmap(LargeBlock* block) {
  if (block != nullptr) {
    munmap(block, block->size);
  }
}

// Returns the kept block with another size, or null.
LargeBlock* take_kept(size_t size) {
  LargeBlock* block = nullptr;
  {
    const std::lock_guard<std::mutex> lock(keeping_mutex);
    block = std::exchange(kept, nullptr);
  }
  if (block == nullptr || block->size == size) {
    return block;
  }
  void* const moved = mremap(block, block->size, size, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) {
    unmap(block);
    return nullptr;
  }
  return static_cast<LargeBlock*>(moved);
}

} // namespace

void begin_keeping_pages() {
  const std::lock_guard<std::mutex> lock(keeping_mutex);
  keeping++;
}

void end_keeping_pages() {
  LargeBlock* last = nullptr;
  {
    const std::lock_guard<std::mutex> lock(keeping_mutex);
    if (--keeping == 0) {
      last = std::exchange(kept, nullptr);
    }
  }
  unmap(last);
}

void* allocate_large(size_t size) {
  if (size < given_back || size > SIZE_MAX / 2) {
    return nullptr;
  }
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t whole = (size + sizeof(LargeBlock) + page - 1) / page * page;
  LargeBlock* block = take_kept(whole);
  if (block == nullptr) {
    void* const made = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
      return nullptr;
    }
    block = static_cast<LargeBlock*>(made);
  }
  new (block) LargeBlock{whole};
  return block + 1;
}

void release_large(void* memory) {
  LargeBlock* freed = static_cast<LargeBlock*>(memory) - 1;
  {
    const std::lock_guard<std::mutex> lock(keeping_mutex);
    if (keeping != 0 && (kept == nullptr || kept->size < freed->size)) {
      std::swap(kept, freed);
    }
  }
  unmap(freed);
}

#else

void begin_keeping_pages() {}

void end_keeping_pages() {}

void* allocate_large(size_t /*size*/) {
  return nullptr;
}

void release_large(void* /*memory*/) {}

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
