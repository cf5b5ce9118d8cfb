// Upstream's generator of random numbers, which tells the interface that it is there: a runtime whose operators draw
// none has no generator.

#include "core/seed.h"

#include <ATen/CPUGeneratorImpl.cpp>

namespace torchlite {
namespace {

void seed_generator(uint64_t seed) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed);
}

[[maybe_unused]] const bool is_known = [] {
  set_generator_seed = seed_generator;
  return true;
}();

} // namespace
} // namespace torchlite
