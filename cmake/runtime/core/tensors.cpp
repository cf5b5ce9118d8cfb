// Builtins of TorchScript on tensors, as torch/csrc/jit/runtime/register_prim_ops.cpp and register_special_ops.cpp have
// them.

#include "builtins.h"
#include "calls.h"

#include "../refusal.h"

#include <ATen/ops/is_nonzero_ops.h>
#include <ATen/ops/item_ops.h>
#include <ATen/ops/split_with_sizes_ops.h>
#include <ATen/ops/to_ops.h>
#include <c10/core/CPUAllocator.h>

namespace torchlite {

namespace {

c10::Scalar item(const Value& value) {
  return at::_ops::item::call(value.to_tensor());
}

at::Tensor make_tensor(at::IntArrayRef sizes, at::ScalarType dtype) {
  int64_t count = 1;
  for (const int64_t size : sizes) {
    count *= size;
  }
  const size_t bytes = static_cast<size_t>(count) * c10::elementSize(dtype);
  at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(c10::Storage::use_byte_size_t(), bytes, c10::GetCPUAllocator()->allocate(bytes)),
      c10::DispatchKeySet(c10::DispatchKey::CPU),
      c10::scalarTypeToTypeMeta(dtype));
  made.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return made;
}

// What torch.tensor() makes of its arguments: the dtype that is asked for, on the CPU.
at::Tensor cast(at::Tensor tensor, const Value& dtype, const Value& device) {
  if (!device.is_none() && !device.to_device().is_cpu()) {
    fail({"a tensor is made for ", device.to_device().str(), ", which this runtime does not have"});
  }
  if (dtype.is_none()) {
    return tensor;
  }
  const auto wanted =
      static_cast<at::ScalarType>(to_enum(dtype, static_cast<int64_t>(at::ScalarType::NumOptions)));
  return wanted == tensor.scalar_type() ? tensor
                                        : at::_ops::to_dtype::call(tensor, wanted, false, false, std::nullopt);
}

void store(void* to, at::ScalarType dtype, const Value& value) {
  switch (dtype) {
    case at::kFloat:
      *static_cast<float*>(to) = static_cast<float>(value.to_float());
      break;
    case at::kBool:
      *static_cast<bool*>(to) = value.to_bool();
      break;
    default:
      *static_cast<int64_t*>(to) = value.to_int();
  }
}

// Sizes of lists in lists, by their first items.
std::vector<int64_t> measure(const Value& value) {
  std::vector<int64_t> sizes;
  Value inner = value;
  do {
    const auto& items = inner.to_list().items;
    sizes.push_back(static_cast<int64_t>(items.size()));
    inner = items.empty() ? Value() : Value(items.front());
  } while (inner.is(Tag::List) && sizes.size() < 64);
  return sizes;
}

char* fill(char* to, const std::vector<int64_t>& sizes, size_t dim, at::ScalarType dtype, const Value& value) {
  if (dim == sizes.size()) {
    store(to, dtype, value);
    return to + c10::elementSize(dtype);
  }
  const auto& items = value.to_list().items;
  if (static_cast<int64_t>(items.size()) != sizes[dim]) {
    refuse(
        {"Expected sequence of length ",
         std::to_string(sizes[dim]),
         " at dim ",
         std::to_string(dim),
         " (got ",
         std::to_string(items.size()),
         ")"});
  }
  for (const auto& one : items) {
    to = fill(to, sizes, dim + 1, dtype, one);
  }
  return to;
}

TypePtr innermost(TypePtr type) {
  while (type->kind == TypeKind::List) {
    type = TypePtr(type->inner[0]);
  }
  return type;
}

at::Tensor from_lists(const Value& value) {
  const TypePtr type = innermost(value.to_list().item);
  const auto sizes = measure(value);
  at::ScalarType dtype = at::kFloat;
  switch (type->kind) {
    case TypeKind::Int:
      dtype = at::kLong;
      break;
    case TypeKind::Bool:
      dtype = at::kBool;
      break;
    case TypeKind::Float:
      break;
    default:
      fail({"Input must be of ints, floats, or bools, got ", describe(*type)});
  }
  at::Tensor made = make_tensor(sizes, dtype);
  fill(static_cast<char*>(made.mutable_data_ptr()), sizes, 0, dtype, value);
  return made;
}

void refuse_dims(const at::Tensor& tensor) {
  if (tensor.dim() != 0) {
    fail({"Cannot input a tensor of dimension other than 0 as a scalar argument"});
  }
}

} // namespace

TORCHLITE_OPERATOR(sizes_of_tensor, "aten::size") {
  stack.back() = from_integers(stack.back().to_tensor().sizes());
}

TORCHLITE_OPERATOR(strides_of_tensor, "aten::stride") {
  stack.back() = from_integers(stack.back().to_tensor().strides());
}

TORCHLITE_OPERATOR(count_of_elements, "aten::numel") {
  stack.back() = stack.back().to_tensor().numel();
}

TORCHLITE_OPERATOR(length_of_tensor, "aten::len.Tensor") {
  const at::Tensor tensor = stack.back().to_tensor();
  if (tensor.dim() == 0) {
    refuse({"len() of a 0-d tensor"});
  }
  stack.back() = tensor.size(0);
}

TORCHLITE_OPERATOR(size_of_element, "aten::element_size") {
  stack.back() = static_cast<int64_t>(stack.back().to_tensor().element_size());
}

TORCHLITE_OPERATOR(offset_of_tensor, "aten::storage_offset") {
  stack.back() = stack.back().to_tensor().storage_offset();
}

TORCHLITE_OPERATOR(is_row_major, "aten::is_contiguous") {
  stack.back() = stack.back().to_tensor().is_contiguous();
}

TORCHLITE_OPERATOR(to_host, "aten::cpu") {
  stack.back().to_tensor();
}

TORCHLITE_OPERATOR(requires_grad, "prim::requires_grad") {
  stack.back().to_tensor();
  stack.back() = false;
}

TORCHLITE_OPERATOR(device_from_text, "aten::device") {
  stack.back() = c10::Device(stack.back().to_text());
}

TORCHLITE_PROMOTED(tensor_to_bool, "aten::Bool.Tensor", 1, 1) {
  stack.back() = at::_ops::is_nonzero::call(stack.back().to_tensor());
}

TORCHLITE_OPERATOR(tensor_to_int, "aten::Int.Tensor") {
  stack.back() = item(stack.back()).toLong();
}

TORCHLITE_OPERATOR(tensor_to_float, "aten::Float.Tensor") {
  stack.back() = item(stack.back()).toDouble();
}

TORCHLITE_OPERATOR(tensor_as_scalar, "aten::ScalarImplicit") {
  refuse_dims(stack.back().to_tensor());
  stack.back() = Value(item(stack.back()));
}

TORCHLITE_OPERATOR(tensor_as_int, "aten::IntImplicit") {
  const at::Tensor tensor = stack.back().to_tensor();
  refuse_dims(tensor);
  if (!c10::isIntegralType(tensor.scalar_type(), false)) {
    fail({"Cannot input a tensor of type ", c10::toString(tensor.scalar_type()), " as an integral argument"});
  }
  stack.back() = item(stack.back()).toLong();
}

TORCHLITE_OPERATOR(tensor_as_float, "aten::FloatImplicit") {
  refuse_dims(stack.back().to_tensor());
  stack.back() = item(stack.back()).toDouble();
}

TORCHLITE_OPERATOR(bool_to_tensor, "prim::NumToTensor.bool") {
  stack.back() = to_tensor(stack.back().to_bool());
}

TORCHLITE_OPERATOR(tensor_of_number, "aten::tensor.int", "aten::tensor.bool", "aten::tensor.float") {
  stack.pop_back(); // whether gradients are wanted
  const Value device = pop(stack);
  const Value dtype = pop(stack);
  const Value number = pop(stack);
  const at::ScalarType own = number.is(Tag::Float) ? at::kFloat : number.is(Tag::Bool) ? at::kBool : at::kLong;
  at::Tensor made = make_tensor({}, own);
  store(made.mutable_data_ptr(), own, number);
  stack.emplace_back(cast(std::move(made), dtype, device));
}

TORCHLITE_OPERATOR(tensor_of_list, "aten::tensor") {
  stack.pop_back(); // whether gradients are wanted
  const Value device = pop(stack);
  const Value dtype = pop(stack);
  const Value list = pop(stack);
  stack.emplace_back(cast(from_lists(list), dtype, device));
}

TORCHLITE_OPERATOR(split_tensor, "aten::split") {
  call(at::_ops::split_with_sizes::call, stack);
}

TORCHLITE_OPERATOR(to_dtype, "aten::to.prim_dtype") {
  const bool copy = pop(stack).to_bool();
  const bool may_wait = pop(stack).to_bool();
  const Value dtype = pop(stack);
  const at::Tensor tensor = stack.back().to_tensor();
  if (dtype.is_none() && !copy) {
    return;
  }
  const auto wanted = dtype.is_none()
      ? tensor.scalar_type()
      : static_cast<at::ScalarType>(to_enum(dtype, static_cast<int64_t>(at::ScalarType::NumOptions)));
  stack.back() = at::_ops::to_dtype::call(tensor, wanted, may_wait, copy, std::nullopt);
}

} // namespace torchlite
