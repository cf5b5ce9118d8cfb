#include "type.h"

#include <algorithm>

namespace torchlite {

namespace {

struct Name {
  std::string_view text;
  TypeKind kind;
};

// Of upstream's parser (aten/src/ATen/core/type_factory.cpp) and of annotations in signatures.
constexpr Name names[] = {
    {"Tensor", TypeKind::Tensor},     {"int", TypeKind::Int},
    {"float", TypeKind::Float},       {"bool", TypeKind::Bool},
    {"str", TypeKind::String},        {"NoneType", TypeKind::None},
    {"number", TypeKind::Number},     {"Scalar", TypeKind::Number},
    {"List", TypeKind::List},         {"Dict", TypeKind::Dict},
    {"Tuple", TypeKind::Tuple},       {"Optional", TypeKind::Optional},
    {"Any", TypeKind::Any},           {"AnyType", TypeKind::Any},
    {"list", TypeKind::AnyList},      {"tuple", TypeKind::AnyTuple},
    {"Device", TypeKind::Device},     {"Capsule", TypeKind::Capsule},
    {"Layout", TypeKind::Int},        {"ScalarType", TypeKind::Int},
    {"MemoryFormat", TypeKind::Int},  {"Union", TypeKind::Tensor}, // as upstream has it in signatures
    {"QScheme", TypeKind::Int},
};

constexpr std::string_view named_tuple = "[NamedTuple, [";

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  TypePtr parse() {
    const size_t start = at_;
    at_ = std::min(text_.find_first_of("[],", at_), text_.size());
    const std::string_view word = text_.substr(start, at_ - start);
    const std::string_view rest = text_.substr(at_);
    if (rest.substr(0, named_tuple.size()) == named_tuple) {
      return parse_named(word);
    }
    for (const auto& name : names) {
      if (name.text == word) {
        return make(name.kind, parse_inner());
      }
    }
    parse_inner();
    const bool is_class = word.find('.') != std::string_view::npos;
    return is_class ? c10::make_intrusive<Type>(TypeKind::Class, std::vector<TypePtr>(), std::string(word))
                    : plain_type(TypeKind::Other);
  }

 private:
  static TypePtr make(TypeKind kind, std::vector<TypePtr> inner) {
    // A list, dict or optional without its item is of anything.
    const size_t wanted = kind == TypeKind::List || kind == TypeKind::Optional ? 1 : kind == TypeKind::Dict ? 2 : 0;
    if (wanted == 0 && kind != TypeKind::Tuple) {
      return plain_type(kind);
    }
    while (inner.size() < wanted) {
      inner.push_back(plain_type(TypeKind::Any));
    }
    return c10::make_intrusive<Type>(kind, std::move(inner));
  }

  bool take(char c) {
    const bool found = at_ < text_.size() && text_[at_] == c;
    at_ += found ? 1 : 0;
    return found;
  }

  void skip_comma() {
    if (take(',')) {
      take(' ');
    }
  }

  std::vector<TypePtr> parse_inner() {
    std::vector<TypePtr> inner;
    if (take('[')) {
      while (at_ < text_.size() && !take(']')) {
        inner.push_back(parse());
        skip_comma();
      }
    }
    return inner;
  }

  // Name[NamedTuple, [[field, int], [other, Tensor]]]
  TypePtr parse_named(std::string_view word) {
    std::string name(word);
    std::vector<TypePtr> inner;
    at_ += named_tuple.size();
    while (at_ < text_.size() && take('[')) {
      const size_t end = std::min(text_.find_first_of(",]", at_), text_.size());
      (name += ' ') += text_.substr(at_, end - at_);
      at_ = end;
      skip_comma();
      inner.push_back(parse());
      take(']');
      skip_comma();
    }
    take(']');
    take(']');
    return c10::make_intrusive<Type>(TypeKind::Tuple, std::move(inner), std::move(name));
  }

  std::string_view text_;
  size_t at_ = 0;
};

bool compare(const Type& left, const Type& right, bool (*compare_inner)(const Type&, const Type&)) {
  return left.name == right.name &&
      std::equal(
             left.inner.begin(),
             left.inner.end(),
             right.inner.begin(),
             right.inner.end(),
             [&](const TypePtr& a, const TypePtr& b) { return compare_inner(*a, *b); });
}

// Of the kinds of values that are of both.
bool contains(TypeKind wanted, TypeKind kind) {
  switch (wanted) {
    case TypeKind::Any:
      return true;
    case TypeKind::Number:
      return kind == TypeKind::Int || kind == TypeKind::Float;
    case TypeKind::AnyList:
      return kind == TypeKind::List;
    case TypeKind::AnyTuple:
      return kind == TypeKind::Tuple;
    case TypeKind::Optional:
      return kind == TypeKind::None;
    default:
      return false;
  }
}

} // namespace

const TypePtr& plain_type(TypeKind kind) {
  static const auto* types = [] {
    auto* made = new std::vector<TypePtr>();
    for (int i = 0; i <= static_cast<int>(TypeKind::Other); i++) {
      made->push_back(c10::make_intrusive<Type>(static_cast<TypeKind>(i)));
    }
    return made;
  }();
  return (*types)[static_cast<size_t>(kind)];
}

TypePtr list_of(TypePtr item) {
  return c10::make_intrusive<Type>(TypeKind::List, std::vector<TypePtr>{std::move(item)});
}

TypePtr parse_type(std::string_view text) {
  return Parser(text).parse();
}

bool is_equal(const Type& left, const Type& right) {
  return &left == &right || (left.kind == right.kind && compare(left, right, is_equal));
}

bool is_subtype(const Type& type, const Type& wanted) {
  if (type.kind == wanted.kind) {
    if (is_equal(type, wanted)) {
      return true;
    }
    const bool is_covariant = type.kind == TypeKind::Tuple || type.kind == TypeKind::Optional;
    if (is_covariant && (wanted.name.empty() || type.name == wanted.name) && type.inner.size() == wanted.inner.size() &&
        std::equal(type.inner.begin(), type.inner.end(), wanted.inner.begin(), [](const TypePtr& a, const TypePtr& b) {
          return is_subtype(*a, *b);
        })) {
      return true;
    }
  } else if (contains(wanted.kind, type.kind)) {
    return true;
  }
  return wanted.kind == TypeKind::Optional && !wanted.inner.empty() && is_subtype(type, *wanted.inner[0]);
}

std::string describe(const Type& type) {
  static constexpr const char* const texts[] = {
      "Tensor", "int",   "float",    "bool", "str",    "None",   "number", "List",   "Dict",
      "Tuple",  "Optional", "Any",   "object", "object", "object", "object", "object", "object"};
  std::string text = texts[static_cast<size_t>(type.kind)];
  for (size_t i = 0; i < type.inner.size(); i++) {
    text += (i == 0 ? "[" : ", ") + describe(*type.inner[i]);
  }
  return type.inner.empty() ? text : text + "]";
}

} // namespace torchlite
