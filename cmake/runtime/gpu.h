// Tensors between the caller's memory and a GPU's, where a runtime has kernels for Metal or Vulkan.
//
// A model that was exported for a GPU expects its inputs there already and leaves its outputs there; apps of upstream's
// call `.metal()` or `.vulkan()`, and `.cpu()`, themselves. This C API does it for them.

#pragma once

#include "lite_module.h"

#include <ATen/core/Tensor.h>

#if defined(TORCHLITE_METAL)
#include <ATen/metal/Context.h>
#include <ATen/ops/empty.h>
#elif defined(TORCHLITE_VULKAN)
#include <ATen/ops/empty.h>
#include <ATen/vulkan/Context.h>
#include <mutex>
#include "vulkan/pipelines.h"
#endif

#include <stdexcept>
#include <string>
#include <utility>

namespace torchlite {

#if defined(TORCHLITE_METAL) || defined(TORCHLITE_VULKAN)

constexpr bool has_gpu = true;

#ifdef TORCHLITE_METAL
constexpr const char* gpu_name = "metal";
constexpr const char* gpu_mark = "optimized_for_metal"; // of torch/csrc/jit/passes/metal_rewrite.cpp
constexpr at::DeviceType gpu_type = at::kMetal;
#else
constexpr const char* gpu_name = "vulkan";
constexpr const char* gpu_mark = "optimized_for_vulkan"; // of torch/csrc/jit/passes/vulkan_rewrite.cpp
constexpr at::DeviceType gpu_type = at::kVulkan;
#endif

inline at::Tensor& copy_by_gpu(at::Tensor& made, const at::Tensor& tensor) {
#ifdef TORCHLITE_METAL
  return at::metal::metal_copy_(made, tensor);
#else
  return at::vulkan::vulkan_copy_(made, tensor);
#endif
}

// The kernels of all threads write their commands into one buffer, and who waits for a result resets it: the commands
// that another thread has written meanwhile would be lost. So the calls of models for Vulkan take turns.
class GpuTurn {
#ifdef TORCHLITE_VULKAN
 public:
  GpuTurn() : lock_(mutex()) {}

  ~GpuTurn() {
    save_pipelines();
  }

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
  }

  std::lock_guard<std::recursive_mutex> lock_;
#endif
};

// Whether this device has one. Only Vulkan may be absent.
inline bool has_device() {
#ifdef TORCHLITE_METAL
  return true;
#else
  const GpuTurn turn;
  return at::native::is_vulkan_available();
#endif
}

// Names the file that keeps the pipelines of the GPU, or none.
inline void keep_pipelines([[maybe_unused]] std::string path) {
#ifdef TORCHLITE_VULKAN
  const GpuTurn turn;
  set_pipeline_file(std::move(path));
#endif
}

// Returns when the GPU is idle. A process that ends before may crash in its driver.
inline void wait_for_gpu() noexcept {
#ifdef TORCHLITE_VULKAN
  try {
    const GpuTurn turn;
    at::vulkan::wait();
  } catch (...) { // the device is lost, and computes no more
  }
#endif
}

// What a pass for the GPU leaves in a model. Upstream's own pass for Vulkan puts the transfers into the model, and says
// so by another mark.
inline bool is_for_gpu(const Module& module) {
  return module.attr(gpu_mark, false).toBool() && module.attr("requires_backend_transfers", true).toBool();
}

// The kernels take float32 alone; other tensors stay, as arguments of operators on the processor. An image has at least
// one element, and kernels would read what is in it.
inline at::Tensor to_gpu(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat) {
    return tensor;
  }
  if (tensor.numel() == 0) {
    throw std::invalid_argument("a tensor without elements cannot be on the GPU");
  }
  at::Tensor made = at::empty(tensor.sizes(), tensor.options().device(gpu_type));
  return copy_by_gpu(made, tensor);
}

inline bool is_on_gpu(const at::Tensor& tensor) {
  return tensor.device().type() == gpu_type;
}

inline at::Tensor to_host(const at::Tensor& tensor) {
  if (!is_on_gpu(tensor)) {
    return tensor;
  }
  at::Tensor made = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
  return tensor.numel() == 0 ? made : copy_by_gpu(made, tensor);
}

#else

constexpr bool has_gpu = false;
constexpr const char* gpu_name = "";

inline bool has_device() {
  return false;
}

inline void keep_pipelines(const std::string&) {}

struct GpuTurn {};

inline void wait_for_gpu() noexcept {}

inline bool is_for_gpu(const Module&) {
  return false;
}

inline at::Tensor to_gpu(const at::Tensor& tensor) {
  return tensor;
}

inline bool is_on_gpu(const at::Tensor&) {
  return false;
}

inline at::Tensor to_host(const at::Tensor& tensor) {
  return tensor;
}

#endif

} // namespace torchlite
