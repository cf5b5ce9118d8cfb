#include "refusal.h"

#include <algorithm>
#include <string_view>

namespace torchlite {

namespace {

// Where upstream begins to speak to its own people and to those who build it.
constexpr std::string_view to_others[] = {
    "If you are a Facebook employee",
    "If you are a Meta employee",
    "This could be because the operator doesn't exist"};
// 'condition INTERNAL ASSERT FAILED at "file":1, please report a bug to PyTorch. why'
constexpr std::string_view assertion = " INTERNAL ASSERT FAILED at ";
constexpr std::string_view end_of_assertion = "please report a bug to PyTorch. ";

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
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) {
    text.pop_back();
  }
  return text.empty() ? "an operator was given what it is not made for" : text;
}

} // namespace

std::string explain(const c10::Error& error) {
  std::string text = without_upstream(error.msg());
  for (const auto& place : error.context()) {
    if (!place.empty()) {
      text += " (" + place + ")";
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
