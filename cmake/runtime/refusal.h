// How kernels refuse tensors that do not fit what they were made for.

#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace torchlite {

// One text of several. Both take less code than a chain of additions does where it is called.
std::string join(std::initializer_list<std::string_view> parts);

// Throws std::runtime_error with that text.
[[noreturn]] void fail(std::initializer_list<std::string_view> parts);

// Goes on after "input 0 " or the like: "has 1 channel, the model takes 3".
class Unfit : public std::runtime_error {
 public:
  Unfit(at::Tensor given, const std::string& text) : std::runtime_error(text), tensor(std::move(given)) {}
  const at::Tensor tensor;
};

// Called by the patch 0016-prepacked-shapes, which declares it for itself.
[[noreturn]] void refuse_tensor(const at::Tensor& given, const std::string& text);

// The message of an error, with the places that it passed. The interpreter adds empty ones, which
// upstream would print as " ()".
std::string explain(const c10::Error& error);

// "float32[1, 3, 224, 224]"
std::string describe_tensor(const at::Tensor& tensor);

// "float32", as builder and the C API call it.
const char* name_of(c10::ScalarType dtype);

} // namespace torchlite
