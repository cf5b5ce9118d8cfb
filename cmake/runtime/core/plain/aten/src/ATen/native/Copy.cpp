// Copies, in place of upstream's unit, which makes them with a TensorIterator.

#include "core/plain/loops.h"

#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/native/Copy.h>
#include <ATen/ops/_foreach_copy_native.h>
#include <ATen/ops/copy_native.h>
#include <c10/util/Exception.h>

namespace at::native {

Tensor& copy_(Tensor& self, const Tensor& src, bool /*non_blocking*/) {
  TORCH_CHECK(self.defined(), "self is undefined");
  TORCH_CHECK(src.defined(), "src is undefined");
  const bool are_one = self.is_same(src) ||
      (self.is_alias_of(src) && self.storage_offset() == src.storage_offset() && self.sizes() == src.sizes() &&
       self.strides() == src.strides() && self.scalar_type() == src.scalar_type());
  if (are_one) {
    return self;
  }
  // In the order in which upstream refuses.
  at::assert_no_internal_overlap(self);
  at::assert_no_partial_overlap(self, src);
  const auto sizes = at::infer_size_dimvector(self.sizes(), src.sizes());
  TORCH_CHECK(
      self.sizes().equals(sizes), "output with shape ", self.sizes(), " doesn't match the broadcast shape ", IntArrayRef(sizes));
  torchlite::copy_elements(self, src);
  return self;
}

Tensor copy(const Tensor& self, const Tensor& src, bool non_blocking) {
  Tensor made = at::detail::empty_strided_cpu(self.sizes(), self.strides(), self.scalar_type());
  return copy_(made, src, non_blocking);
}

Tensor copy_meta(const Tensor& self, const Tensor& src, bool non_blocking) {
  return copy(self, src, non_blocking);
}

void copy_ignoring_overlaps(const TensorBase& to, const TensorBase& from) {
  torchlite::copy_elements(Tensor(to), Tensor(from));
}

std::vector<Tensor> _foreach_copy(TensorList self, TensorList src, bool non_blocking) {
  std::vector<Tensor> made;
  for (size_t i = 0; i < src.size(); i++) {
    made.push_back(copy(self[i], src[i], non_blocking));
  }
  return made;
}

} // namespace at::native
