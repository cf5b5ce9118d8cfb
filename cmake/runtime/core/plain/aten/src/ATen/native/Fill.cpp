// Filling, in place of upstream's unit, which does it with a TensorIterator.

#include "core/plain/loops.h"

#include <ATen/native/Fill.h>
#include <ATen/ops/copy_native.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/fill_diagonal_native.h>
#include <ATen/ops/fill_native.h>
#include <ATen/ops/zero_native.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

namespace at::native {

namespace {

// A number as a tensor without dimensions, to be repeated. The copy converts it: of a float to a bool or an integer as
// well as of one to the other.
template <typename T>
Tensor hold(T value, ScalarType dtype) {
  Tensor held = at::detail::empty_cpu({}, dtype);
  *held.mutable_data_ptr<T>() = value;
  return held;
}

Tensor hold(const Scalar& value, ScalarType dtype) {
  switch (dtype) {
    case kFloat:
      return hold(value.to<float>(), kFloat);
    case kLong:
      return hold(value.to<int64_t>(), kLong);
    case kBool:
      return hold(value.to<bool>(), kBool);
    default:
      torchlite::refuse_dtype("fill_cpu", dtype);
  }
}

} // namespace

Tensor& fill_out(Tensor& self, const Scalar& value) {
  // Places that overlap are given the same value.
  torchlite::copy_elements(self, hold(value, self.scalar_type()));
  return self;
}

Tensor& fill_(Tensor& self, const Scalar& value) {
  return fill_out(self, value);
}

Tensor& fill_(Tensor& self, const Tensor& value) {
  TORCH_CHECK(
      value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(), " dimensions.");
  return copy_(self, self.is_alias_of(value) ? value.clone() : value, false);
}

Tensor& fill_meta_(Tensor& self, const Scalar& /*value*/) {
  return self;
}

Tensor& fill_meta_(Tensor& self, const Tensor& /*value*/) {
  return self;
}

Tensor& fill_quantized_(Tensor& /*self*/, const Scalar& /*value*/) {
  TORCH_CHECK(false, "this runtime was built without quantized tensors");
}

Tensor& fill_quantized_(Tensor& self, const Tensor& /*value*/) {
  return fill_quantized_(self, Scalar());
}

Tensor fill(const Tensor& self, const Scalar& value) {
  Tensor made = at::empty_like(self);
  return fill_(made, value);
}

Tensor fill(const Tensor& self, const Tensor& value) {
  Tensor made = at::empty_like(self);
  return fill_(made, value);
}

Tensor& fill_diagonal_(Tensor& self, const Scalar& value, bool wrap) {
  TORCH_CHECK(self.dim() >= 2, "dimensions must larger than 1");
  const auto sizes = self.sizes();
  const bool is_cube = std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return size == sizes[0]; });
  TORCH_CHECK(self.dim() == 2 || is_cube, "all dimensions of input must be of equal length");
  int64_t step = 0;
  for (const int64_t stride : self.strides()) {
    step += stride;
  }
  // The diagonal, and those that follow below it in a matrix that is higher than wide, with a row between.
  const int64_t longest = std::min(sizes[0], sizes[1]);
  const int64_t apart = sizes[1] + 1;
  for (int64_t row = 0; row < sizes[0]; row += apart) {
    Tensor diagonal = self.as_strided(
        {std::min(longest, sizes[0] - row)}, {step}, self.storage_offset() + row * self.stride(0));
    fill_out(diagonal, value);
    if (!wrap || self.dim() != 2) {
      break;
    }
  }
  return self;
}

Tensor& zero_(Tensor& self) {
  if (self.is_non_overlapping_and_dense()) {
    if (self.nbytes() > 0) {
      std::memset(self.data_ptr(), 0, self.nbytes());
    }
    return self;
  }
  return fill_out(self, 0);
}

Tensor& zero_meta_(Tensor& self) {
  return self;
}

} // namespace at::native
