// In front of files with kernels that generated code calls by name: see builder/native/kernel_calls.py.

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>
#include <c10/util/OptionalArrayRef.h>
#include <torch/library.h>

#include <optional>
#include <tuple>
#include <utility>

// What stands behind a registration is compiled, so that its names are checked, and dropped.
#undef TORCH_LIBRARY_IMPL
#define TORCH_LIBRARY_IMPL(ns, key, m) \
  [[maybe_unused]] static void C10_ANONYMOUS_VARIABLE(not_registered_)([[maybe_unused]] torch::Library & m)

namespace torchlite {

// Integers that may be symbolic elsewhere, as the dispatcher hands them to kernels that take none.
inline int64_t plain(const c10::SymInt& value) {
  return value.guard_int(__FILE__, __LINE__);
}

inline at::IntArrayRef plain(c10::SymIntArrayRef values) {
  return C10_AS_INTARRAYREF_SLOW(values);
}

inline std::optional<int64_t> plain(const std::optional<c10::SymInt>& value) {
  return value ? std::optional(plain(*value)) : std::nullopt;
}

inline at::OptionalIntArrayRef plain(const at::OptionalSymIntArrayRef& values) {
  return values ? at::OptionalIntArrayRef(plain(*values)) : at::OptionalIntArrayRef();
}

inline void check_elements(const at::Tensor& tensor) {
  TORCH_CHECK(!tensor.defined() || tensor.numel() != 0, "a tensor without elements cannot be on the GPU");
}

template <typename Other>
void check_elements(const Other&) {}

template <typename... Items>
void check_elements(const std::tuple<Items...>& items) {
  std::apply([](const auto&... each) { (check_elements(each), ...); }, items);
}

// What a kernel returns. An image has at least one element, so of a tensor without any, kernels compute one with some.
template <typename Result>
Result with_elements(Result&& result) {
  check_elements(result);
  return std::forward<Result>(result);
}

} // namespace torchlite
