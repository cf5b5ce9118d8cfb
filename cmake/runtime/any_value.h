// Values and types of the lite interpreter, by names that builder's own core has as well: units that use these alone serve
// both cores.

#pragma once

#ifdef TORCHLITE_OWN_CORE
#include "core/any_value.h"
#else

#include "lite_module.h"

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace torchlite {

using AnyValue = c10::IValue;
using AnyType = c10::Type;
using AnyTypePtr = c10::TypePtr;

// Kinds of types and of values.
struct Kind {
  static constexpr auto None = c10::TypeKind::NoneType;
  static constexpr auto Tensor = c10::TypeKind::TensorType;
  static constexpr auto Bool = c10::TypeKind::BoolType;
  static constexpr auto Int = c10::TypeKind::IntType;
  static constexpr auto Float = c10::TypeKind::FloatType;
  static constexpr auto String = c10::TypeKind::StringType;
  static constexpr auto List = c10::TypeKind::ListType;
  static constexpr auto Tuple = c10::TypeKind::TupleType;
  static constexpr auto Dict = c10::TypeKind::DictType;
  static constexpr auto Optional = c10::TypeKind::OptionalType;
};
using AnyKind = c10::TypeKind;

// ---- Types.

// A type that holds no other.
inline c10::TypePtr plain_type(c10::TypeKind kind) {
  switch (kind) {
    case Kind::Bool:
      return c10::BoolType::get();
    case Kind::Int:
      return c10::IntType::get();
    case Kind::Float:
      return c10::FloatType::get();
    case Kind::String:
      return c10::StringType::get();
    default:
      return c10::TensorType::get();
  }
}

// What a type of this kind holds in a place, or null where the schema has another type or none. A list and an optional have
// one type, a dict that of its keys and that of its values, a tuple one for each item.
inline c10::TypePtr contained_type(const c10::Type* group, c10::TypeKind kind, size_t place) {
  const bool fits = group != nullptr && kind_of(*group) == kind && place < group->containedTypeSize();
  return fits ? group->containedType(place) : nullptr;
}

// Without a schema the first item tells; an empty group is then one of tensors.
inline c10::TypePtr element_type(const c10::TypePtr& wanted, const std::vector<c10::IValue>& items) {
  if (wanted != nullptr) {
    return wanted;
  }
  return items.empty() ? plain_type(Kind::Tensor) : c10::unshapedType(items.front().type());
}

// Of an argument, the module itself not counted; null where the file does not say.
inline c10::TypePtr parameter_type(const Method& method, size_t index) {
  const auto& function = method.function();
  const bool is_known = function.hasSchema() && index + 1 < function.getSchema().arguments().size();
  return is_known ? function.getSchema().arguments()[index + 1].type() : nullptr;
}

// ---- Values of others.

inline c10::IValue make_tuple(std::vector<c10::IValue> items) {
  return c10::ivalue::Tuple::create(std::move(items));
}

inline c10::IValue make_list(const c10::TypePtr& type, std::vector<c10::IValue> items) {
  c10::impl::GenericList list(type);
  list.reserve(items.size());
  for (auto& item : items) {
    list.push_back(std::move(item));
  }
  return list;
}

// None where a key occurs twice.
inline std::optional<c10::IValue> make_dict(
    c10::TypeKind keys_are,
    const c10::TypePtr& type,
    const std::vector<c10::IValue>& keys,
    const std::vector<c10::IValue>& items) {
  c10::impl::GenericDict dict(plain_type(keys_are), type);
  for (size_t i = 0; i < keys.size(); i++) {
    if (!dict.insert(keys[i], items[i]).second) {
      return std::nullopt;
    }
  }
  return dict;
}

// ---- What a value is and holds.

// Object for a kind that is not in Kind.
inline c10::TypeKind kind_of(const c10::IValue& value) {
  return value.isNone()       ? Kind::None
      : value.isTensor()      ? Kind::Tensor
      : value.isBool()        ? Kind::Bool
      : value.isInt()         ? Kind::Int
      : value.isDouble()      ? Kind::Float
      : value.isString()      ? Kind::String
      : value.isTuple()       ? Kind::Tuple
      : value.isList()        ? Kind::List
      : value.isGenericDict() ? Kind::Dict
                              : c10::TypeKind::ClassType;
}

// "Device"
inline std::string name_of_kind(const c10::IValue& value) {
  return value.tagKind();
}

inline at::Tensor to_tensor(const c10::IValue& value) {
  return value.toTensor();
}

inline bool to_bool(const c10::IValue& value) {
  return value.toBool();
}

inline int64_t to_int(const c10::IValue& value) {
  return value.toInt();
}

inline double to_float(const c10::IValue& value) {
  return value.toDouble();
}

inline const std::string& to_text(const c10::IValue& value) {
  return value.toStringRef();
}

// Of a list or a tuple, as long as nobody changes it.
inline c10::ArrayRef<c10::IValue> items_of(const c10::IValue& value) {
  return value.isList() ? value.toListRef() : value.toTupleRef().elements().asArrayRef();
}

// Of the items of a list.
inline c10::TypeKind item_kind(const c10::IValue& list) {
  return kind_of(*list.toList().elementType());
}

// The keys and the values of a dict, in its order; `keys_are` is the type of the keys.
struct Entries {
  explicit Entries(const c10::IValue& value) {
    const auto dict = value.toGenericDict();
    keys_are = dict.keyType();
    for (const auto& entry : dict) {
      keys.push_back(entry.key());
      items.push_back(entry.value());
    }
  }

  c10::TypePtr keys_are;
  std::vector<c10::IValue> keys;
  std::vector<c10::IValue> items;
};

} // namespace torchlite

#endif
