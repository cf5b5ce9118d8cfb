#include "records.h"

#include "pages.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <memory>

namespace torchlite {

struct RecordPlace {
  std::unique_ptr<char, void (*)(void*)> memory{nullptr, c10::free_cpu};
  size_t size = 0;
  size_t taken = 0; // bytes from the start whose pages are there
  bool is_used = false;
  bool is_loading = true; // A tensor that is not packed may keep its record, and so the place.
};

namespace {

constexpr size_t smallest = 64 << 10;
constexpr size_t guard = 64; // what kernels may read before and behind a tensor

thread_local RecordPlace* current = nullptr;

void release(void* place) {
  auto* const released = static_cast<RecordPlace*>(place);
  released->is_used = false;
  if (!released->is_loading) {
    delete released;
  }
}

} // namespace

RecordsInTurn::RecordsInTurn(size_t size) {
  if (size >= smallest && size < SIZE_MAX / 2) {
    current = new RecordPlace;
    current->size = size;
  }
}

RecordsInTurn::~RecordsInTurn() {
  RecordPlace* const place = current;
  current = nullptr;
  if (place == nullptr) {
    return;
  }
  place->is_loading = false;
  if (!place->is_used) {
    delete place;
  }
}

// Upstream's reader of zip files calls this; see the patch 0047-records-in-turn.
c10::DataPtr allocate_record(size_t size);

c10::DataPtr allocate_record(size_t size) {
  RecordPlace* const place = current;
  if (place != nullptr && !place->is_used && size >= smallest && size <= place->size) {
    if (place->memory == nullptr) {
      place->memory.reset(static_cast<char*>(c10::alloc_cpu(place->size + 2 * guard)));
    }
    char* const memory = place->memory.get() + guard;
    if (size > place->taken) {
      take_pages(memory + place->taken, size - place->taken);
      place->taken = size;
    }
    place->is_used = true;
    return {memory, place, release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DataPtr memory = c10::GetCPUAllocator()->allocate(size);
  take_pages(memory.get(), size);
  return memory;
}

} // namespace torchlite
