// Types of values, as the files of models write them: "List[int]", "Dict[str, Tensor]".

#pragma once

#include <c10/util/intrusive_ptr.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace torchlite {

enum class TypeKind : uint8_t {
  Tensor,
  Int, // also of dtypes, layouts and memory formats, which are numbers
  Float,
  Bool,
  String,
  None,
  Number,
  List,
  Dict,
  Tuple,
  Optional,
  Any,
  AnyList,
  AnyTuple,
  Class, // and an interface
  Device,
  Capsule, // a C++ object
  Other, // complex numbers, futures: no value here has such a type
};

struct Type;
using TypePtr = c10::intrusive_ptr<Type>;

struct Type final : c10::intrusive_ptr_target {
  explicit Type(TypeKind kind, std::vector<TypePtr> inner = {}, std::string name = {})
      : kind(kind), inner(std::move(inner)), name(std::move(name)) {}

  const TypeKind kind;
  const std::vector<TypePtr> inner; // of a list, dict, tuple or optional
  const std::string name; // of a class; of a named tuple, with the names of its fields
};

// A type without inner ones. The same each time.
const TypePtr& plain_type(TypeKind kind);

TypePtr list_of(TypePtr item);

// A type of a file, which was checked: text that is no type here is one of kind Other.
TypePtr parse_type(std::string_view text);

bool is_equal(const Type& left, const Type& right);

// Whether each value of `type` is one of `wanted` as well.
bool is_subtype(const Type& type, const Type& wanted);

// "List[Tensor]"; a class is an "object".
std::string describe(const Type& type);

} // namespace torchlite
