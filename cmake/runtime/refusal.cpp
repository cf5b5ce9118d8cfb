#include "refusal.h"

#include <algorithm>

namespace torchlite {

namespace {

// Where upstream begins to speak to its own people and to those who build it.
constexpr std::string_view to_others[] = {
    "If you are a Facebook employee",
    "If you are a Meta employee",
    "This could be because the operator doesn't exist",
    ". Please check if the operator library is included in the build."};
// 'condition INTERNAL ASSERT FAILED at "file":1, please report a bug to PyTorch. why'
constexpr std::string_view assertion = " INTERNAL ASSERT FAILED at ";
constexpr std::string_view end_of_assertion = "please report a bug to PyTorch. ";
// '[enforce fail at file:1] condition. why'
constexpr std::string_view enforcement = "[enforce fail at ";
// 'name (of Python compilation unit at: 0x7ffd)'
constexpr std::string_view unit = " (of Python compilation unit at: ";
// 'Static dispatch does not support name forCPU', of torchgen/gen.py
constexpr std::string_view no_kernel = "Static dispatch does not support ";
constexpr std::string_view no_operators = "Following ops cannot be found: ";

// Erases from each `begin` to the end of the first `end` after it.
void erase_between(std::string& text, std::string_view begin, std::string_view end) {
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin)) {
    const size_t last = text.find(end, at);
    text.erase(at, last == std::string::npos ? last : last + end.size() - at);
  }
}

void replace(std::string& text, std::string_view begin, std::string_view by) {
  const size_t at = text.find(begin);
  if (at != std::string::npos) {
    text.replace(at, begin.size(), by);
  }
}

std::string without_upstream(std::string text) {
  for (const auto& start : to_others) {
    text.erase(std::min(text.find(start), text.size()));
  }
  for (size_t at = text.find(assertion); at != std::string::npos; at = text.find(assertion)) {
    const size_t line = text.rfind('\n', at);
    const size_t begin = line == std::string::npos ? 0 : line + 1;
    const size_t end = text.find(end_of_assertion, at);
    text.erase(begin, end == std::string::npos ? end : end + end_of_assertion.size() - begin);
  }
  erase_between(text, enforcement, ". ");
  erase_between(text, unit, ")");
  replace(text, no_operators, "the runtime lacks the operators ");
  if (text.find(no_kernel) != std::string::npos) {
    text.erase(std::min(text.rfind(" for"), text.size()));
    replace(text, no_kernel, "the runtime has no kernel for ");
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) {
    text.pop_back();
  }
  return text.empty() ? "an operator was given what it is not made for" : text;
}

} // namespace

std::string join(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto& part : parts) {
    text += part;
  }
  return text;
}

void fail(std::initializer_list<std::string_view> parts) {
  throw std::runtime_error(join(parts));
}

std::string explain(const c10::Error& error) {
  std::string text = without_upstream(error.msg());
  for (const auto& place : error.context()) {
    if (!place.empty()) {
      text += join({" (", place, ")"});
    }
  }
  return text;
}

std::string describe_tensor(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return "an undefined tensor";
  }
  std::string text = name_of(tensor.scalar_type());
  text += "[";
  for (int64_t i = 0; i < tensor.dim(); i++) {
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.size(i));
  }
  return text + "]";
}

const char* name_of(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Byte:
      return "uint8";
    case c10::ScalarType::Char:
      return "int8";
    case c10::ScalarType::Short:
      return "int16";
    case c10::ScalarType::Int:
      return "int32";
    case c10::ScalarType::Long:
      return "int64";
    case c10::ScalarType::Half:
      return "float16";
    case c10::ScalarType::Float:
      return "float32";
    case c10::ScalarType::Double:
      return "float64";
    case c10::ScalarType::Bool:
      return "bool";
    case c10::ScalarType::QInt8:
      return "qint8";
    case c10::ScalarType::QUInt8:
      return "quint8";
    case c10::ScalarType::QInt32:
      return "qint32";
    default:
      return c10::toString(dtype);
  }
}

void refuse_tensor(const at::Tensor& given, const std::string& text) {
  throw Unfit(given, text);
}

} // namespace torchlite
