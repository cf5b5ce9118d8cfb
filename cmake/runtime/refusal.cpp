#include "refusal.h"

#include "upstream_text.h"

namespace torchlite {

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
  std::string text = reword(error.msg());
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
