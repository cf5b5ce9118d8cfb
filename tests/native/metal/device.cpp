// A device of Metal's that keeps its tensors in ordinary memory, and says on stderr what it does.

#include <ATen/ATen.h>
#include <ATen/OpaqueTensorImpl.h>
#include <ATen/metal/Context.h>
#include <torch/library.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using Memory = std::shared_ptr<std::vector<float>>;
using Impl = at::OpaqueTensorImpl<Memory>;

void say(const char* what) {
  std::fprintf(stderr, "%s\n", what);
}

at::Tensor make(at::IntArrayRef sizes, Memory memory) {
  return at::detail::make_tensor<Impl>(
      c10::DispatchKeySet(c10::DispatchKey::Metal),
      caffe2::TypeMeta::Make<float>(),
      at::Device(at::kMetal),
      std::move(memory),
      sizes);
}

Memory& memory_of(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_metal(), "a tensor of another device");
  return static_cast<Impl*>(tensor.unsafeGetTensorImpl())->unsafe_opaque_handle();
}

at::Tensor empty(
    c10::SymIntArrayRef symbolic,
    std::optional<at::ScalarType>,
    std::optional<at::Layout>,
    std::optional<at::Device>,
    std::optional<bool>,
    std::optional<at::MemoryFormat>) {
  const auto sizes = C10_AS_INTARRAYREF_SLOW(symbolic);
  int64_t count = 1;
  for (const int64_t size : sizes) {
    count *= size;
  }
  return make(sizes, std::make_shared<std::vector<float>>(count));
}

at::Tensor view(const at::Tensor& tensor, c10::SymIntArrayRef sizes) {
  say("view");
  return make(C10_AS_INTARRAYREF_SLOW(sizes), memory_of(tensor));
}

// Calls another operator on a tensor of the device, as Metal's linear layers do.
at::Tensor relu(const at::Tensor& tensor) {
  say("relu");
  const at::Tensor flat = tensor.view({tensor.numel()});
  auto values = std::make_shared<std::vector<float>>(*memory_of(flat));
  for (float& value : *values) {
    value = value > 0 ? value : 0;
  }
  return make(flat.sizes(), std::move(values)).view(tensor.sizes());
}

at::Tensor cat(const at::ITensorListRef& tensors, int64_t dim) {
  say("cat");
  TORCH_CHECK(dim == 0);
  auto values = std::make_shared<std::vector<float>>();
  std::vector<int64_t> sizes;
  for (const at::Tensor& tensor : tensors) {
    const auto& more = *memory_of(tensor);
    values->insert(values->end(), more.begin(), more.end());
    const int64_t before = sizes.empty() ? 0 : sizes[0];
    sizes = tensor.sizes().vec();
    sizes[0] += before;
  }
  return make(sizes, std::move(values));
}

TORCH_LIBRARY_IMPL(aten, Metal, m) {
  m.impl(TORCH_SELECTIVE_NAME("aten::empty.memory_format"), empty);
  m.impl(TORCH_SELECTIVE_NAME("aten::view"), TORCH_FN(view));
  m.impl(TORCH_SELECTIVE_NAME("aten::relu"), TORCH_FN(relu));
  m.impl(TORCH_SELECTIVE_NAME("aten::cat"), TORCH_FN(cat));
}

struct Device : at::metal::MetalInterface {
  bool is_metal_available() const override {
    return true;
  }

  at::Tensor& metal_copy_(at::Tensor& to, const at::Tensor& from) const override {
    say(to.is_metal() ? "to metal" : "to host");
    if (to.is_metal()) {
      std::memcpy(memory_of(to)->data(), from.const_data_ptr<float>(), from.numel() * sizeof(float));
    } else {
      std::memcpy(to.mutable_data_ptr<float>(), memory_of(from)->data(), to.numel() * sizeof(float));
    }
    return to;
  }
};

const at::metal::MetalImplRegistrar registrar(new Device());

} // namespace
