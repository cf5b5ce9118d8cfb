// Pages of memory that is about to be written to.

#pragma once

#include <cstddef>

namespace torchlite {

// Asks for all pages of a large block at once. Asked for one by one, as they are first written to, they are what most of
// the time of a load goes to. Nothing is different where the system cannot do it, or has no memory.
void take_pages(void* memory, size_t size);

} // namespace torchlite
