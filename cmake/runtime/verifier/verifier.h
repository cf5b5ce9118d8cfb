// The check of a model before anything of upstream's loader sees it.

#pragma once

#include "../source.h"

#include <cstddef>
#include <cstdint>

namespace torchlite {

// Throws std::runtime_error with the reason when loading or running the zip could leave its memory, cost
// far more than its size, or needs what this runtime lacks. Tensors' values are not read. Returns the size of the largest
// record that is not packed, in bytes.
uint64_t verify_zip(const Source& source);

// The same of a flatbuffer file in memory, aligned for the widest scalar. Returns whether it has a list
// of extra files.
bool verify_flatbuffer(const void* data, size_t size);

} // namespace torchlite
