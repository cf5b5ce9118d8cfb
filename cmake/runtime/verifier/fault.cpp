#include "fault.h"

#include "../refusal.h"

#include <c10/core/ScalarType.h>
#include <caffe2/serialize/versions.h>
#ifdef TORCHLITE_OWN_CORE
#include "../core/table.h"
#else
#include <torch/custom_class.h>
#endif

namespace torchlite::verifier {

namespace {

constexpr std::string_view custom_class = "__torch__.torch.classes.";

// Bytes above 0x7f too: Python's names may have any letters, and upstream's lexer takes them for parts of a word.
bool is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
      static_cast<unsigned char>(c) >= 0x80;
}

// Whether upstream takes the text of an argument's type for the name of a class, without its parser of types.
bool is_class_name(std::string_view text) {
  return text.compare(0, 10, "__torch__.") == 0 || text.compare(0, 10, "torch.jit.") == 0;
}

// The parser gives a null pointer for a class that is not registered.
void check_custom_class(std::string_view text) {
  size_t end = custom_class.size();
  while (end < text.size() && (is_word(text[end]) || text[end] == '.')) {
    end++;
  }
  const std::string name(text.substr(0, end));
#ifdef TORCHLITE_OWN_CORE
  if (find_custom_class(name) == nullptr) {
#else
  if (torch::getCustomClass(name) == nullptr) {
#endif
    refuse_custom_class(name);
  }
}

} // namespace

void refuse(std::string_view what) {
  fail({"the model is damaged: ", what});
}

void refuse(const char* what) {
  refuse(std::string_view(what));
}

void refuse_custom_class(const std::string& name) {
  fail({"the model needs the custom class ", name, ", which this runtime lacks"});
}

bool can_restore(const std::string& name) {
#ifdef TORCHLITE_OWN_CORE
  return find_custom_class(name) != nullptr;
#else
  const auto custom = torch::getCustomClass(name);
  return custom != nullptr && custom->findMethod("__setstate__") != nullptr;
#endif
}

void check_bytecode_version(int64_t version) {
  if (version < static_cast<int64_t>(caffe2::serialize::kMinSupportedBytecodeVersion) ||
      version > static_cast<int64_t>(caffe2::serialize::kMaxSupportedBytecodeVersion)) {
    fail({"this runtime cannot read bytecode of version ", std::to_string(version)});
  }
}

int64_t check_extent(
    int64_t offset, const int64_t* sizes, const int64_t* strides, size_t dims, uint64_t available) {
  constexpr const char* outside = "a tensor leads outside of its storage";
  // Bytes, of the widest dtype, have to be countable too. Kernels multiply strides of single elements as well.
  constexpr int64_t countable = INT64_MAX / 16;
  int64_t elements = 1;
  int64_t last = offset;
  require(offset >= 0 && dims <= static_cast<size_t>(max_type_depth), outside);
  for (size_t i = 0; i < dims; i++) {
    int64_t span = 0;
    require(
        sizes[i] >= 0 && strides[i] >= 0 && strides[i] <= countable && !__builtin_mul_overflow(elements, sizes[i], &elements) &&
            (sizes[i] == 0 || (!__builtin_mul_overflow(sizes[i] - 1, strides[i], &span) &&
                               !__builtin_add_overflow(last, span, &last))),
        outside);
  }
  require(elements <= countable, outside);
  require(elements == 0 || static_cast<uint64_t>(last) < available, outside);
  return elements;
}

int64_t elements_per_unit(int64_t dtype) {
  return dtype == static_cast<int64_t>(c10::ScalarType::QUInt4x2) ? 2
      : dtype == static_cast<int64_t>(c10::ScalarType::QUInt2x4)  ? 4
                                                                  : 1;
}

void check_channels(
    int64_t axis, const int64_t* sizes, size_t dims, int64_t scales, int64_t zero_points) {
  require(
      axis >= 0 && static_cast<uint64_t>(axis) < dims && scales == sizes[axis] &&
          zero_points == sizes[axis],
      "a quantised tensor has not one scale and zero point per channel");
}

void check_type(std::string_view text, TypePlace place, Budget& budget) {
  budget.spend(1 + text.size() / 16);
  require(!text.empty() && text.size() <= 1 << 20, "the text of a type is empty or too long");
  const bool is_name = place == TypePlace::Schema && is_class_name(text);
  int depth = 0;
  for (size_t i = 0; i < text.size(); i++) {
    depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
    require(depth >= 0 && depth <= max_type_depth, "a type is nested too deeply");
    // Where a word ends is a matter of upstream's lexer, which goes on over many signs and skips spaces anywhere. So
    // a type has words, dots, brackets and commas with a space behind them, as upstream writes it, and nothing else.
    const char c = text[i];
    const bool is_plain = is_word(c) || c == '.' || c == ',' || c == '[' || c == ']' ||
        (c == ' ' && i > 0 && text[i - 1] == ',');
    require(is_plain || (c > ' ' && is_name), "a type has a character that types are not written with");
    if (i > 0 && (is_word(text[i - 1]) || text[i - 1] == '.')) {
      continue;
    }
    const bool resolved = i == 0 && place == TypePlace::Schema;
    const std::string_view rest = text.substr(i);
    if (!resolved && rest.compare(0, custom_class.size(), custom_class) == 0) {
      check_custom_class(rest);
    }
    // The parser's null pointer for unions is fine for an argument, whose type is a tensor then.
    const bool is_union = rest.compare(0, 5, "Union") == 0 && (rest.size() == 5 || !is_word(rest[5]));
    require(resolved || !is_union, "a type contains a union");
  }
}

} // namespace torchlite::verifier
