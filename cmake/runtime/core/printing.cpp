// Tensors as text, for operators that print values.

#include "value.h"

#include <ATen/core/Formatting.h>

#include <sstream>

namespace torchlite {

// Called where the generated table says that an operator prints.
std::string print_tensor(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor;
  return text.str();
}

} // namespace torchlite
