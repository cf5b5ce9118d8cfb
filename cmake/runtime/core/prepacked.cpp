// Operators and classes that upstream's aten/src/ATen/native/xnnpack/RegisterOpContextClass.cpp registers.

#include "calls.h"
#include "builtins.h"

#include <ATen/native/xnnpack/Convolution.h>
#include <ATen/native/xnnpack/Linear.h>
#include <ATen/native/xnnpack/OpContext.h>

namespace torchlite {

namespace {

namespace convolution = at::native::xnnpack::internal::convolution2d;
namespace linear = at::native::xnnpack::internal::linear;

template <class Context>
c10::intrusive_ptr<Context> to_context(const Value& value) {
  const auto* context = value.is(Tag::Object) ? dynamic_cast<Context*>(value.to_object().held.get()) : nullptr;
  if (context == nullptr) {
    refuse_value(value, "packed weights");
  }
  return c10::intrusive_ptr<Context>::reclaim_copy(const_cast<Context*>(context));
}

// What a file says of a packed weight.
class State {
 public:
  State(const Value& value, size_t count) : value_(value) {
    if (value.to_tuple().items.size() != count) {
      refuse_value(value, "what weights are packed from");
    }
  }
  const Value& item(size_t index) const {
    return value_.to_tuple().items[index];
  }
  at::Tensor tensor(size_t index) const {
    return item(index).to_tensor();
  }
  std::optional<at::Tensor> bias() const {
    return item(1).is_none() ? std::nullopt : std::optional(tensor(1));
  }
  std::vector<int64_t> integers(size_t index) const {
    const Integers read = to_integers(item(index));
    return {read.begin(), read.end()};
  }
  std::optional<at::Scalar> number(size_t index) const {
    return item(index).is_none() ? std::nullopt : std::optional(item(index).to_scalar());
  }

 private:
  const Value& value_;
};

} // namespace

TORCHLITE_CLASS(restore_linear, "__torch__.torch.classes.xnnpack.LinearOpContext") {
  const State of(state, 4);
  return linear::createLinearClampPrePackOpContext(of.tensor(0), of.bias(), of.number(2), of.number(3));
}

TORCHLITE_CLASS(restore_convolution, "__torch__.torch.classes.xnnpack.Conv2dOpContext") {
  const State of(state, 8);
  return convolution::createConv2dClampPrePackOpContext(
      of.tensor(0),
      of.bias(),
      of.integers(2),
      of.integers(3),
      of.integers(4),
      of.item(5).to_int(),
      of.number(6),
      of.number(7));
}

TORCHLITE_CLASS(restore_transposed, "__torch__.torch.classes.xnnpack.TransposeConv2dOpContext") {
  const State of(state, 9);
  return convolution::createConv2dTransposeClampPrePackOpContext(
      of.tensor(0),
      of.bias(),
      of.integers(2),
      of.integers(3),
      of.integers(4),
      of.integers(5),
      of.item(6).to_int(),
      of.number(7),
      of.number(8));
}

TORCHLITE_OPERATOR(run_linear, "prepacked::linear_clamp_run") {
  const auto context = to_context<at::native::xnnpack::LinearOpContext>(pop(stack));
  stack.back() = linear::linear_clamp_run(stack.back().to_tensor(), context);
}

TORCHLITE_OPERATOR(run_convolution, "prepacked::conv2d_clamp_run") {
  const auto context = to_context<at::native::xnnpack::Conv2dOpContext>(pop(stack));
  stack.back() = convolution::conv2d_clamp_run(stack.back().to_tensor(), context);
}

TORCHLITE_OPERATOR(run_transposed, "prepacked::conv2d_transpose_clamp_run") {
  const auto context = to_context<at::native::xnnpack::TransposeConv2dOpContext>(pop(stack));
  stack.back() = convolution::conv2d_transpose_clamp_run(stack.back().to_tensor(), context);
}

} // namespace torchlite
