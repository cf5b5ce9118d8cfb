// What the runtime says of a tensor that does not fit a packed operator.

#include <ATen/core/Tensor.h>

#include <string>

namespace torchlite {

[[noreturn]] void refuse_tensor(const at::Tensor& given, const std::string& text);

void refuse_tensor(const at::Tensor& given, const std::string& text) {
  TORCH_CHECK(false, "a tensor inside of the model ", text);
}

} // namespace torchlite
