#include "calls.h"

namespace torchlite {

Integers to_integers(const Value& value) {
  Integers numbers;
  if (value.is(Tag::Int)) { // one for each dimension: kernels repeat it
    numbers.push_back(value.to_int());
    return numbers;
  }
  for (const auto& item : value.to_list().items) {
    numbers.push_back(item.to_int());
  }
  return numbers;
}

std::vector<double> to_reals(const Value& value) {
  std::vector<double> numbers;
  for (const auto& item : value.to_list().items) {
    numbers.push_back(item.to_float());
  }
  return numbers;
}

std::vector<at::Tensor> to_tensors(const Value& value) {
  std::vector<at::Tensor> tensors;
  const auto& items = value.to_list().items;
  tensors.reserve(items.size());
  for (const auto& item : items) {
    tensors.push_back(item.to_tensor());
  }
  return tensors;
}

c10::List<std::optional<at::Tensor>> to_optional_tensors(const Value& value) {
  c10::List<std::optional<at::Tensor>> tensors;
  for (const auto& item : value.to_list().items) {
    tensors.push_back(item.is_none() ? std::nullopt : std::optional(item.to_tensor()));
  }
  return tensors;
}

std::vector<c10::Scalar> to_scalars(const Value& value) {
  std::vector<c10::Scalar> numbers;
  for (const auto& item : value.to_list().items) {
    numbers.push_back(item.to_scalar());
  }
  return numbers;
}

Value from_tensors(std::vector<at::Tensor> tensors) {
  auto list = c10::make_intrusive<List>(plain_type(TypeKind::Tensor));
  for (auto& tensor : tensors) {
    list->items.emplace_back(std::move(tensor));
  }
  return list;
}

Value from_integers(at::IntArrayRef numbers) {
  auto list = c10::make_intrusive<List>(plain_type(TypeKind::Int));
  for (const int64_t number : numbers) {
    list->items.emplace_back(number);
  }
  return list;
}

int64_t to_enum(const Value& value, int64_t count) {
  const int64_t number = value.to_int();
  if (number < 0 || number >= count) {
    refuse_value(value, "a dtype, a layout or a memory format");
  }
  return number;
}

} // namespace torchlite
