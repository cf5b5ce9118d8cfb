// Reads a serialized model for NNAPI, and then damaged copies of it: each has to be refused, or to be taken by the
// library without breaking a rule of the interface.
//
//     nnapi_models FILE COPIES SEED BYTES_OF_A_WEIGHT...

#include "nnapi/model.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>

namespace nnapi = torchlite::nnapi;

namespace {

// Each weight is an allocation of its own, so that a sanitizer sees the first byte behind it.
bool is_taken(const std::vector<uint32_t>& words, const std::vector<nnapi::Buffer>& weights) {
  try {
    const nnapi::Model model = nnapi::read_model(words, weights);
    const nnapi::Functions& functions = nnapi::open_library();
    ANeuralNetworksModel* made = nullptr;
    nnapi::expect_success(functions.Model_create(&made), "make a model", "Model_create");
    const std::unique_ptr<ANeuralNetworksModel, decltype(functions.Model_free)> held(made, functions.Model_free);
    nnapi::add_to(made, model, functions);
    // What NNAPI may read until the end.
    unsigned sum = 0;
    for (const auto& value : model.values) {
      for (size_t i = 0; i < value.data.bytes; i++) {
        sum += value.data.data[i];
      }
    }
    return sum != UINT32_MAX;
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    return 2;
  }
  std::ifstream file(arguments[1], std::ios::binary);
  const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
  const auto* first = reinterpret_cast<const uint32_t*>(read.data());
  const std::vector<uint32_t> words(first, first + read.size() / sizeof(uint32_t));
  std::vector<std::unique_ptr<uint8_t[]>> held;
  std::vector<nnapi::Buffer> weights;
  for (int i = 4; i < count; i++) {
    const size_t bytes = std::strtoull(arguments[i], nullptr, 10);
    held.push_back(std::make_unique<uint8_t[]>(bytes));
    weights.push_back({held.back().get(), bytes});
  }
  if (!is_taken(words, weights)) {
    std::fputs("the model itself is refused\n", stderr);
    return 1;
  }
  std::mt19937 random(static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10)));
  const uint32_t notable[] = {0, 1, 2, 3, 7, 12, 0x7F, 0xFF, 0xFFFF, 1U << 24, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
  const long copies = std::strtol(arguments[2], nullptr, 10);
  long taken = 0;
  for (long i = 0; i < copies; i++) {
    std::vector<uint32_t> damaged = words;
    for (unsigned changes = 1 + random() % 3; changes > 0; changes--) {
      uint32_t& word = damaged[random() % damaged.size()];
      switch (random() % 4) {
        case 0:
          word = notable[random() % (sizeof(notable) / sizeof(*notable))];
          break;
        case 1:
          word ^= 1U << random() % 32;
          break;
        case 2:
          word = damaged[random() % damaged.size()];
          break;
        default:
          damaged.resize(1 + random() % damaged.size());
      }
    }
    taken += is_taken(damaged, weights) ? 1 : 0;
  }
  std::printf("%ld\n", taken);
  return 0;
}
