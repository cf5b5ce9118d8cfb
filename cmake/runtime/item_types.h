#pragma once

// Types of what lists, tuples and dicts hold.

#include "lite_module.h"

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <vector>

namespace torchlite {

// What a type of this kind holds in a place, or null where the schema has another type or none. A list has one type, a
// dict that of its keys and that of its values, a tuple one for each item.
inline c10::TypePtr contained_type(const c10::Type* group, c10::TypeKind kind, size_t place) {
  const bool fits = group != nullptr && kind_of(*group) == kind && place < group->containedTypeSize();
  return fits ? group->containedType(place) : nullptr;
}

// Without a schema the first item tells; an empty group is then one of tensors.
inline c10::TypePtr element_type(const c10::TypePtr& wanted, const std::vector<c10::IValue>& items) {
  if (wanted != nullptr) {
    return wanted;
  }
  return items.empty() ? c10::TypePtr(c10::TensorType::get())
                       : c10::unshapedType(items.front().type());
}

} // namespace torchlite
