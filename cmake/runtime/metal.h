// Tensors between the caller's memory and Metal's, where a runtime has Metal's kernels.
//
// A model that was optimised for Metal expects its inputs there already and leaves its outputs there;
// apps of upstream's call `.metal()` and `.cpu()` themselves. This C API does it for them.

#pragma once

#include "lite_module.h"

#include <ATen/core/Tensor.h>

#ifdef TORCHLITE_METAL
#include <ATen/metal/Context.h>
#include <ATen/ops/empty.h>
#endif

namespace torchlite {

#ifdef TORCHLITE_METAL

// What metalOptimizeForMobile (torch/csrc/jit/passes/metal_rewrite.cpp) leaves in a model.
inline bool is_for_metal(const Module& module) {
  return module.attr("optimized_for_metal", false).toBool();
}

// Metal's kernels take float32 alone; other tensors stay, as arguments of operators on the processor.
inline at::Tensor to_metal(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat) {
    return tensor;
  }
  at::Tensor made = at::empty(tensor.sizes(), tensor.options().device(at::kMetal));
  return tensor.numel() == 0 ? made : at::metal::metal_copy_(made, tensor);
}

inline at::Tensor to_host(const at::Tensor& tensor) {
  if (!tensor.is_metal()) {
    return tensor;
  }
  at::Tensor made = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
  return tensor.numel() == 0 ? made : at::metal::metal_copy_(made, tensor);
}

#else

inline bool is_for_metal(const Module&) {
  return false;
}

inline at::Tensor to_metal(const at::Tensor& tensor) {
  return tensor;
}

inline at::Tensor to_host(const at::Tensor& tensor) {
  return tensor;
}

#endif

} // namespace torchlite
