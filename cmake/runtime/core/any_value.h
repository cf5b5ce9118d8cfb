// Values and types of builder's own core, by the names of ../any_value.h.

#pragma once

#include "lite_module.h"

#include <c10/util/ArrayRef.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace torchlite {

using AnyValue = Value;
using AnyType = Type;
using AnyTypePtr = TypePtr;
using Kind = TypeKind;
using AnyKind = TypeKind;

inline TypeKind kind_of(const Type& type) {
  return type.kind;
}

inline std::string describe_type(const Type& type) {
  return describe(type);
}

inline TypePtr contained_type(const Type* group, TypeKind kind, size_t place) {
  const bool fits = group != nullptr && group->kind == kind && place < group->inner.size();
  return fits ? group->inner[place] : TypePtr();
}

inline TypePtr element_type(const TypePtr& wanted, const std::vector<Value>& items) {
  if (wanted) {
    return wanted;
  }
  return items.empty() ? plain_type(TypeKind::Tensor) : type_of(items.front());
}

inline TypePtr parameter_type(const Method& method, size_t index) {
  return method.parameter(index);
}

inline Value make_tuple(std::vector<Value> items) {
  return c10::make_intrusive<Tuple>(std::move(items));
}

inline Value make_list(const TypePtr& type, std::vector<Value> items) {
  return c10::make_intrusive<List>(type, std::move(items));
}

inline std::optional<Value> make_dict(
    TypeKind keys_are, const TypePtr& type, const std::vector<Value>& keys, const std::vector<Value>& items) {
  auto dict = c10::make_intrusive<Dict>(plain_type(keys_are), type);
  for (size_t i = 0; i < keys.size(); i++) {
    dict->set(keys[i], items[i]);
  }
  return dict->size() == keys.size() ? std::optional<Value>(std::move(dict)) : std::nullopt;
}

inline TypeKind kind_of(const Value& value) {
  switch (value.tag()) {
    case Tag::None:
      return TypeKind::None;
    case Tag::Int:
      return TypeKind::Int;
    case Tag::Float:
      return TypeKind::Float;
    case Tag::Bool:
      return TypeKind::Bool;
    case Tag::Device:
      return TypeKind::Device;
    case Tag::Tensor:
      return TypeKind::Tensor;
    case Tag::String:
      return TypeKind::String;
    case Tag::List:
      return TypeKind::List;
    case Tag::Dict:
      return TypeKind::Dict;
    case Tag::Tuple:
      return TypeKind::Tuple;
    case Tag::Object:
      return TypeKind::Class;
  }
  return TypeKind::Other;
}

// Of a kind that callers cannot have, as the lite interpreter calls it.
inline std::string name_of_kind(const Value& value) {
  return value.is(Tag::Device) ? "Device" : "Object";
}

inline at::Tensor to_tensor(const Value& value) {
  return value.to_tensor();
}

inline bool to_bool(const Value& value) {
  return value.to_bool();
}

inline int64_t to_int(const Value& value) {
  return value.to_int();
}

inline double to_float(const Value& value) {
  return value.to_float();
}

inline const std::string& to_text(const Value& value) {
  return value.to_text();
}

inline c10::ArrayRef<Value> items_of(const Value& value) {
  return value.is(Tag::List) ? value.to_list().items : value.to_tuple().items;
}

inline TypeKind item_kind(const Value& list) {
  return list.to_list().item->kind;
}

struct Entries {
  explicit Entries(const Value& value) : keys_are(value.to_dict().key) {
    for (const auto& [key, item] : value.to_dict().entries) {
      keys.push_back(key);
      items.push_back(item);
    }
  }

  TypePtr keys_are;
  std::vector<Value> keys;
  std::vector<Value> items;
};

} // namespace torchlite
