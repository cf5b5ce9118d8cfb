// How the verifier refuses a model, and how it bounds its own work.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace torchlite::verifier {

// Throws std::runtime_error: "the model is damaged: " and `what`.
[[noreturn]] void refuse(std::string_view what);
[[noreturn]] void refuse(const char* what); // the same, in less code where it is called

[[noreturn]] void refuse_custom_class(const std::string& name);

// Whether the runtime has the custom class, and can make an object of it from what a file says.
bool can_restore(const std::string& name);

void check_bytecode_version(int64_t version);

inline void require(bool truth, const char* what) {
  if (__builtin_expect(!truth, false)) {
    refuse(what);
  }
}

// Values in values, deeper than any compiler of TorchScript writes them. Upstream's code descends
// into values and types by recursion.
constexpr int max_depth = 128;
constexpr int max_type_depth = 64;

// Steps that a file, or a pickle in it, of some size in bytes may cost: files refer to one value many times,
// and each use counts.
class Budget {
 public:
  explicit Budget(uint64_t size) : left_(steps_per_byte * size + steps_at_least) {}

  void spend(uint64_t steps) {
    require(steps <= left_, "it refers to the same values more often than a model does");
    left_ -= steps;
  }

 private:
  static constexpr uint64_t steps_per_byte = 16;
  static constexpr uint64_t steps_at_least = 100000;

  uint64_t left_;
};

// Refuses sizes, strides and an offset that lead outside of `available` elements; returns how many
// elements the tensor has. Units: elements.
int64_t check_extent(
    int64_t offset, const int64_t* sizes, const int64_t* strides, size_t dims, uint64_t available);

// Elements of a dtype of c10::ScalarType in what c10::elementSize says is the size of one.
int64_t elements_per_unit(int64_t dtype);

// Refuses a channel axis outside of the dimensions, and parameters that are not one per channel.
void check_channels(
    int64_t axis, const int64_t* sizes, size_t dims, int64_t scales, int64_t zero_points);

// What follows is decided by where upstream's parser of types may get to.
enum class TypePlace {
  Schema, // resolved as a name first
  Table, // one of a function's types, or what a list or dict is of
};

// Refuses a type's text that upstream's parser (torch/csrc/jit/mobile/type_parser.cpp) has no type or a
// null pointer for.
void check_type(std::string_view text, TypePlace place, Budget& budget);

} // namespace torchlite::verifier
