// Sums and products of two tensors.

#include "core/builtins.h"
#include "core/plain/loops.h"

#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/native/BinaryOps.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/result_type_native.h>
#include <c10/util/Exception.h>

#include <cstring>

namespace torchlite {

namespace {

struct Factor {
  float real;
  int64_t integer;
};

// Four floats or two integers at once, in rows without gaps. Tensors may begin at any element.
template <typename T>
using Lanes __attribute__((vector_size(16))) = T;

template <typename T>
Lanes<T> load_lanes(const char* from) {
  Lanes<T> lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

template <typename T>
T factor_of(const void* with) {
  const auto* factor = static_cast<const Factor*>(with);
  return std::is_same<T, float>::value ? static_cast<T>(factor->real) : static_cast<T>(factor->integer);
}

struct Add {
  template <typename T>
  static T compute(T left, T right, T factor) {
    return left + factor * right;
  }
};

struct Multiply {
  template <typename T>
  static T compute(T left, T right, T /*factor*/) {
    return left * right;
  }
};

template <typename T, class What>
void compute_row(char* const* at, const int64_t* steps, int64_t count, const void* with) {
  using Unsigned = std::conditional_t<std::is_same<T, float>::value, float, uint64_t>; // which may overflow
  char *to = at[0], *left = at[1], *right = at[2];
  const Unsigned factor = factor_of<Unsigned>(with);
  constexpr int64_t size = sizeof(T);
  if (steps[0] == size && steps[1] == size && steps[2] == size) {
    using Some = Lanes<Unsigned>;
    constexpr int64_t lanes = sizeof(Some) / size;
    Some factors = Some{} + factor;
    for (; count >= lanes; count -= lanes, to += sizeof(Some), left += sizeof(Some), right += sizeof(Some)) {
      const Some result = What::compute(load_lanes<Unsigned>(left), load_lanes<Unsigned>(right), factors);
      std::memcpy(to, &result, sizeof(result));
    }
  }
  for (; count > 0; count--, to += steps[0], left += steps[1], right += steps[2]) {
    *reinterpret_cast<Unsigned*>(to) =
        What::compute(*reinterpret_cast<Unsigned*>(left), *reinterpret_cast<Unsigned*>(right), factor);
  }
}

template <class What>
void compute_bools(char* const* at, const int64_t* steps, int64_t count, const void* with) {
  char *to = at[0], *left = at[1], *right = at[2];
  const bool factor = factor_of<int64_t>(with) != 0;
  for (; count > 0; count--, to += steps[0], left += steps[1], right += steps[2]) {
    *to = What::compute(*left != 0, *right != 0, factor) != 0 ? 1 : 0;
  }
}

at::Tensor with_dtype(const at::Tensor& tensor, at::ScalarType dtype) {
  if (tensor.scalar_type() == dtype) {
    return tensor;
  }
  at::Tensor made = at::empty_like(tensor, tensor.options().dtype(dtype));
  copy_elements(made, tensor);
  return made;
}

template <class What>
Row row_for(at::ScalarType dtype, const char* kernel) {
  switch (dtype) {
    case at::kFloat:
      return compute_row<float, What>;
    case at::kLong:
      return compute_row<int64_t, What>;
    case at::kBool:
      return compute_bools<What>;
    default:
      refuse_dtype(kernel, dtype);
  }
}

// Into `into`, or into a new tensor when it is null.
template <class What>
at::Tensor compute(
    const at::Tensor& left, const at::Tensor& right, const c10::Scalar& alpha, const at::Tensor* into, const char* kernel) {
  // In the order in which upstream refuses.
  if (into != nullptr) {
    at::assert_no_internal_overlap(*into);
    at::assert_no_partial_overlap(*into, right);
  }
  const auto sizes = at::infer_size_dimvector(left.sizes(), right.sizes());
  const auto dtype = at::native::result_type(left, right);
  at::Tensor result;
  if (into != nullptr) {
    TORCH_CHECK(
        c10::canCast(dtype, into->scalar_type()),
        "result type ", dtype, " can't be cast to the desired output type ", into->scalar_type());
    TORCH_CHECK(
        into->sizes().equals(sizes), "output with shape ", into->sizes(), " doesn't match the broadcast shape ", at::IntArrayRef(sizes));
    result = *into;
  }
  at::native::alpha_check(dtype, alpha);
  const Row row = row_for<What>(dtype, kernel);
  Factor factor{1, 1};
  if (dtype == at::kFloat) {
    factor.real = alpha.to<float>();
  } else {
    factor.integer = alpha.to<int64_t>();
  }
  // A result of another dtype is computed first, and then copied.
  const bool is_direct = result.defined() && result.scalar_type() == dtype;
  const at::Tensor operands[] = {with_dtype(left, dtype), with_dtype(right, dtype)};
  at::Tensor made = is_direct ? result : make_result(sizes, dtype, operands[0], operands[1]);
  Steps steps;
  steps.count = 3;
  steps.of[0] = steps_of(made, sizes);
  steps.of[1] = steps_of(operands[0], sizes);
  steps.of[2] = steps_of(operands[1], sizes);
  char* const start[] = {
      static_cast<char*>(made.data_ptr()),
      static_cast<char*>(operands[0].data_ptr()),
      static_cast<char*>(operands[1].data_ptr())};
  for_each_row(Sizes(sizes.begin(), sizes.end()), steps, start, row, &factor);
  if (result.defined() && !is_direct) {
    copy_elements(result, made);
  }
  return result.defined() ? result : made;
}

} // namespace

TORCHLITE_PLAIN(add_tensors, "aten::add.Tensor") {
  const c10::Scalar alpha = pop(stack).to_scalar();
  const at::Tensor right = pop(stack).to_tensor();
  stack.back() = compute<Add>(stack.back().to_tensor(), right, alpha, nullptr, "add_stub");
}

TORCHLITE_PLAIN(add_tensor_in_place, "aten::add_.Tensor") {
  const c10::Scalar alpha = pop(stack).to_scalar();
  const at::Tensor right = pop(stack).to_tensor();
  const at::Tensor left = stack.back().to_tensor();
  stack.back() = compute<Add>(left, right, alpha, &left, "add_stub");
}

TORCHLITE_PLAIN(multiply_tensors, "aten::mul.Tensor") {
  const at::Tensor right = pop(stack).to_tensor();
  stack.back() = compute<Multiply>(stack.back().to_tensor(), right, 1, nullptr, "mul_cpu");
}

TORCHLITE_PLAIN(multiply_tensor_in_place, "aten::mul_.Tensor") {
  const at::Tensor right = pop(stack).to_tensor();
  const at::Tensor left = stack.back().to_tensor();
  stack.back() = compute<Multiply>(left, right, 1, &left, "mul_cpu");
}

} // namespace torchlite
