// What kernels and models ask of autograd, answered for tensors that never have gradients.
//
// PyTorch's own answers stand in torch/csrc/autograd/variable.cpp, whose initialisers nothing names
// and which would bring the backward engine along.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/VariableHooksInterface.h>
#include <c10/core/TensorImpl.h>
#include <c10/util/Exception.h>

#include <memory>
#include <string>

namespace torchlite {

[[noreturn]] inline void refuse_gradients() {
  C10_THROW_ERROR(NotImplementedError, "this runtime has no gradients");
}

struct NoMeta final : c10::impl::AutogradMetaFactory {
  std::unique_ptr<c10::AutogradMetaInterface> make() const override {
    refuse_gradients();
  }
  const at::Tensor& undefined_tensor() const override {
    static const at::Tensor undefined;
    return undefined;
  }
};

struct NoHooks final : at::impl::VariableHooksInterface {
  at::TensorBase tensor_data(const at::TensorBase& self) const override {
    return data(self);
  }
  at::TensorBase variable_data(const at::TensorBase& self) const override {
    return data(self);
  }
  at::TensorBase data(const at::TensorBase& self) const override {
    return at::TensorBase(self.unsafeGetTensorImpl()->shallow_copy_and_detach(
        /*version_counter=*/0, /*allow_tensor_metadata_change=*/false));
  }
  const std::shared_ptr<torch::autograd::Node>& grad_fn(const at::TensorBase&) const override {
    static const std::shared_ptr<torch::autograd::Node> none;
    return none;
  }
  bool is_leaf(const at::TensorBase&) const override {
    return true;
  }
  int64_t output_nr(const at::TensorBase&) const override {
    return 0;
  }
  bool is_view(const at::TensorBase&) const override {
    return false;
  }
  bool retains_grad(const at::TensorBase&) const override {
    return false;
  }
  int64_t _version(const at::TensorBase& self) const override {
    return self.unsafeGetTensorImpl()->version_counter().current_version();
  }
  void requires_grad_(const at::TensorBase&, bool wanted) const override {
    if (wanted) {
      refuse_gradients();
    }
  }
  const at::TensorBase& base(const at::TensorBase&) const override {
    refuse_gradients();
  }
  const std::string& name(const at::TensorBase&) const override {
    refuse_gradients();
  }
  void set_data(const at::TensorBase&, const at::TensorBase&) const override {
    refuse_gradients();
  }
  void retain_grad(const at::TensorBase&) const override {
    refuse_gradients();
  }
  unsigned _register_hook(const at::TensorBase&, std::function<at::TensorBase(const at::TensorBase&)>)
      const override {
    refuse_gradients();
  }
  void remove_hook(const at::TensorBase&, unsigned) const override {
    refuse_gradients();
  }
  void _backward(const at::Tensor&, at::TensorList, const std::optional<at::Tensor>&,
                 std::optional<bool>, bool) const override {
    refuse_gradients();
  }
  void basic_autograd_not_implemented_fallback(
      const c10::OperatorHandle&, c10::DispatchKeySet, torch::jit::Stack*) const override {
    refuse_gradients();
  }
};

// Before any model can be loaded, and for as long as the process runs.
inline const bool autograd_answered = [] {
  c10::impl::SetAutogradMetaFactory(new NoMeta);
  at::impl::SetVariableHooks(new NoHooks);
  return true;
}();

} // namespace torchlite
