// What the runtime says of a tensor that does not fit a packed operator.

#include <ATen/core/Tensor.h>

#include <string>

namespace torchlite {

[[noreturn]] void refuse_tensor(const at::Tensor& given, const std::string& text);

void refuse_tensor(const at::Tensor& given, const std::string& text) {
  TORCH_CHECK(false, "a tensor inside of the model ", text);
}

const char* name_of(c10::ScalarType type) {
  switch (type) {
    case at::kByte:
      return "uint8";
    case at::kChar:
      return "int8";
    case at::kShort:
      return "int16";
    case at::kInt:
      return "int32";
    case at::kLong:
      return "int64";
    case at::kHalf:
      return "float16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kBool:
      return "bool";
    default:
      return c10::toString(type);
  }
}

} // namespace torchlite
