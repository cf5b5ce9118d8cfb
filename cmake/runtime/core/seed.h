// How the interface seeds random numbers.

#pragma once

#include <cstdint>

namespace torchlite {

// Null in a runtime that draws none. Zero before any initialiser runs.
extern void (*set_generator_seed)(uint64_t seed);

} // namespace torchlite
