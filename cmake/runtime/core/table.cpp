#include "table.h"

#include "seed.h"

#include <algorithm>

namespace torchlite {

void (*set_generator_seed)(uint64_t seed) = nullptr;

Value Default::make() const {
  switch (kind) {
    case Int:
      return integer;
    case Float:
      return real;
    case Bool:
      return integer != 0;
    case Text:
      return text;
    case Integers: {
      auto list = c10::make_intrusive<List>(plain_type(TypeKind::Int));
      for (uint8_t i = 0; i < count; i++) {
        list->items.emplace_back(static_cast<int64_t>(static_cast<int8_t>(integer >> (8 * i))));
      }
      return list;
    }
    default:
      return {};
  }
}

const Operator* find_operator(std::string_view name) {
  const Operator* end = operators + operator_count;
  const Operator* found =
      std::lower_bound(operators, end, name, [](const Operator& one, std::string_view wanted) { return std::string_view(one.name) < wanted; });
  return found != end && found->name == name ? found : nullptr;
}

const CustomClass* find_custom_class(std::string_view name) {
  const CustomClass* end = custom_classes + custom_class_count;
  const CustomClass* found =
      std::find_if(custom_classes, end, [&](const CustomClass& one) { return one.name == name; });
  return found != end ? found : nullptr;
}

} // namespace torchlite
