#include "value.h"

#include "../refusal.h"
#include "../verifier/fault.h"

#include <algorithm>
#include <functional>

namespace torchlite {

namespace {

constexpr size_t few_entries = 8; // are looked through

const char* name_of_tag(Tag tag) {
  static constexpr const char* const names[] = {
      "None", "int", "float", "bool", "Device", "Tensor", "str", "List", "Dict", "Tuple", "object"};
  return names[static_cast<size_t>(tag)];
}

// Values in values are released one by one: a chain of them may be longer than a thread's stack is deep.
class Waste {
 public:
  static void take(Value& value) noexcept {
    if (value.tag() >= Tag::List && value.uses() == 1) {
      try {
        waiting().push_back(std::move(value));
      } catch (...) { // there is no memory to remember it: it goes with what holds it
      }
    }
  }
  static void empty() noexcept {
    static thread_local bool is_emptying = false;
    if (is_emptying) {
      return;
    }
    is_emptying = true;
    while (!waiting().empty()) {
      const Value last = std::move(waiting().back());
      waiting().pop_back();
    }
    is_emptying = false;
  }

 private:
  static std::vector<Value>& waiting() {
    static thread_local std::vector<Value> values;
    return values;
  }
};

void discard(std::vector<Value>& values) noexcept {
  for (auto& value : values) {
    Waste::take(value);
  }
  values.clear();
  Waste::empty();
}

} // namespace

void refuse_value(const Value& value, const char* wanted) {
  fail({"a value is ", describe(value), ", where the model has to have ", wanted});
}

void Value::refuse(Tag wanted) const {
  refuse_value(*this, name_of_tag(wanted));
}

void Value::release() {
  c10::raw::intrusive_ptr::decref(as_.counted);
}

Value::Value(std::string text) : Value(c10::make_intrusive<Text>(std::move(text))) {}
Value::Value(c10::intrusive_ptr<Text> value) noexcept : Value(Tag::String, value.release()) {}
Value::Value(c10::intrusive_ptr<List> value) noexcept : Value(Tag::List, value.release()) {}
Value::Value(c10::intrusive_ptr<Dict> value) noexcept : Value(Tag::Dict, value.release()) {}
Value::Value(c10::intrusive_ptr<Tuple> value) noexcept : Value(Tag::Tuple, value.release()) {}
Value::Value(c10::intrusive_ptr<Object> value) noexcept : Value(Tag::Object, value.release()) {}

Value::Value(const c10::Scalar& number) : Value() {
  if (number.isBoolean()) {
    *this = number.to<bool>();
  } else if (number.isFloatingPoint()) {
    *this = number.toDouble();
  } else if (number.isComplex()) {
    fail({"a number is complex, which this runtime cannot hold outside of tensors"});
  } else {
    *this = number.to<int64_t>();
  }
}

c10::Scalar Value::to_scalar() const {
  switch (tag_) {
    case Tag::Int:
      return as_.integer;
    case Tag::Float:
      return as_.real;
    case Tag::Bool:
      return as_.integer != 0;
    default:
      refuse_value(*this, "a number");
  }
}

at::Tensor Value::to_tensor() const& {
  expect(Tag::Tensor);
  return as_.counted == nullptr ? at::Tensor()
                                : at::Tensor(c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim_copy(
                                      static_cast<at::TensorImpl*>(as_.counted)));
}

at::Tensor Value::to_tensor() && {
  expect(Tag::Tensor);
  tag_ = Tag::None;
  return as_.counted == nullptr
      ? at::Tensor()
      : at::Tensor(c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim(
            static_cast<at::TensorImpl*>(as_.counted)));
}

const std::string& Value::to_text() const {
  expect(Tag::String);
  return static_cast<Text*>(as_.counted)->text;
}

List& Value::to_list() const {
  expect(Tag::List);
  return *static_cast<List*>(as_.counted);
}

Dict& Value::to_dict() const {
  expect(Tag::Dict);
  return *static_cast<Dict*>(as_.counted);
}

Tuple& Value::to_tuple() const {
  expect(Tag::Tuple);
  return *static_cast<Tuple*>(as_.counted);
}

Object& Value::to_object() const {
  expect(Tag::Object);
  return *static_cast<Object*>(as_.counted);
}

bool Value::is_same(const Value& other) const {
  // An undefined tensor is None, as it is for upstream.
  const bool is_nothing = is_none() || (is(Tag::Tensor) && as_.counted == nullptr);
  const bool is_other_nothing = other.is_none() || (other.is(Tag::Tensor) && other.as_.counted == nullptr);
  if (is_nothing || is_other_nothing) {
    return is_nothing && is_other_nothing;
  }
  if (is_counted() && other.is_counted() && tag_ != Tag::String) {
    return as_.counted == other.as_.counted;
  }
  return is_equal(*this, other);
}

size_t Value::uses() const {
  return is_counted() ? c10::raw::intrusive_ptr::use_count(as_.counted) : 1;
}

List::~List() {
  discard(items);
}

Tuple::~Tuple() {
  discard(items);
}

Object::~Object() {
  discard(slots);
}

Dict::~Dict() {
  for (auto& entry : entries) {
    Waste::take(entry.second);
  }
  clear();
  Waste::empty();
}

size_t Dict::hash(const Value& key) {
  switch (key.tag()) {
    case Tag::Int:
      return std::hash<int64_t>()(key.to_int());
    case Tag::Float:
      return std::hash<double>()(key.to_float());
    case Tag::Bool:
      return key.to_bool() ? 1 : 0;
    case Tag::String:
      return std::hash<std::string>()(key.to_text());
    case Tag::Tensor:
      return std::hash<const void*>()(key.identity());
    case Tag::Device:
      return static_cast<size_t>(key.to_device().type());
    default:
      refuse_value(key, "a key of a dict");
  }
}

size_t Dict::locate(const Value& wanted) {
  const size_t hashed = hash(wanted);
  const auto is_it = [&](const Value& key) {
    return key.tag() == wanted.tag() && (key.is(Tag::Tensor) ? key.is_same(wanted) : is_equal(key, wanted));
  };
  if (entries.size() <= few_entries) {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return is_it(entry.first); });
    return static_cast<size_t>(found - entries.begin());
  }
  if (places_.empty()) {
    for (size_t i = 0; i < entries.size(); i++) {
      places_.emplace(hash(entries[i].first), i);
    }
  }
  const auto range = places_.equal_range(hashed);
  for (auto at = range.first; at != range.second; ++at) {
    if (is_it(entries[at->second].first)) {
      return at->second;
    }
  }
  return entries.size();
}

Value* Dict::find(const Value& wanted) {
  const size_t at = locate(wanted);
  return at < entries.size() ? &entries[at].second : nullptr;
}

void Dict::set(const Value& wanted, Value value) {
  const size_t at = locate(wanted);
  if (at < entries.size()) {
    entries[at].second = std::move(value);
    return;
  }
  entries.emplace_back(wanted, std::move(value));
  if (!places_.empty()) {
    places_.emplace(hash(wanted), at);
  }
}

bool Dict::erase(const Value& wanted) {
  const size_t at = locate(wanted);
  if (at >= entries.size()) {
    return false;
  }
  places_.clear(); // what stands behind it moves
  entries.erase(entries.begin() + static_cast<ptrdiff_t>(at));
  return true;
}

void Dict::clear() {
  places_.clear();
  entries.clear();
}

namespace {

// Tuples may share tuples beyond all bounds: from some point on, what is in them counts as anything.
TypePtr type_of(const Value& value, int above, size_t& left) {
  if (above > verifier::max_depth || left == 0) {
    return plain_type(TypeKind::Any);
  }
  left--;
  switch (value.tag()) {
    case Tag::List:
      return list_of(value.to_list().item);
    case Tag::Dict: {
      const Dict& dict = value.to_dict();
      return c10::make_intrusive<Type>(TypeKind::Dict, std::vector<TypePtr>{dict.key, dict.item});
    }
    case Tag::Tuple: {
      const Tuple& tuple = value.to_tuple();
      if (tuple.type) {
        return tuple.type;
      }
      std::vector<TypePtr> inner;
      for (const auto& item : tuple.items) {
        inner.push_back(type_of(item, above + 1, left));
      }
      return c10::make_intrusive<Type>(TypeKind::Tuple, std::move(inner));
    }
    case Tag::Object:
      return value.to_object().type;
    default: {
      static constexpr TypeKind kinds[] = {
          TypeKind::None, TypeKind::Int, TypeKind::Float, TypeKind::Bool, TypeKind::Device, TypeKind::Tensor, TypeKind::String};
      return plain_type(kinds[static_cast<size_t>(value.tag())]);
    }
  }
}

} // namespace

TypePtr type_of(const Value& value) {
  size_t left = 1 << 16;
  return type_of(value, 0, left);
}

std::string describe(const Value& value) {
  return value.is(Tag::Tensor) ? describe_tensor(value.to_tensor()) : describe(*type_of(value));
}

namespace {

bool is_equal(const Value& left, const Value& right, int above) {
  verifier::require(above <= verifier::max_depth, "values that are compared are nested too deeply");
  if (left.is_number() && right.is_number() && left.tag() != right.tag()) {
    const c10::Scalar a = left.to_scalar();
    const c10::Scalar b = right.to_scalar();
    return left.is(Tag::Bool) || right.is(Tag::Bool) ? false : a.toDouble() == b.toDouble();
  }
  if (left.tag() != right.tag()) {
    return false;
  }
  const auto are_equal = [above](const std::vector<Value>& a, const std::vector<Value>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [above](const Value& x, const Value& y) {
      return x.is_same(y) || is_equal(x, y, above + 1);
    });
  };
  switch (left.tag()) {
    case Tag::None:
      return true;
    case Tag::Int:
      return left.to_int() == right.to_int();
    case Tag::Float:
      return left.to_float() == right.to_float();
    case Tag::Bool:
      return left.to_bool() == right.to_bool();
    case Tag::Device:
      return left.to_device() == right.to_device();
    case Tag::String:
      return left.to_text() == right.to_text();
    case Tag::List:
      return are_equal(left.to_list().items, right.to_list().items);
    case Tag::Tuple:
      return are_equal(left.to_tuple().items, right.to_tuple().items);
    case Tag::Dict: {
      Dict& other = right.to_dict();
      const auto& entries = left.to_dict().entries;
      return entries.size() == other.size() && std::all_of(entries.begin(), entries.end(), [&](const Dict::Entry& entry) {
               const Value* found = other.find(entry.first);
               return found != nullptr && is_equal(entry.second, *found, above + 1);
             });
    }
    case Tag::Object:
      return left.identity() == right.identity();
    case Tag::Tensor:
      break;
  }
  fail({"the model compares tensors as parts of other values, which this runtime cannot do"});
}

} // namespace

bool is_equal(const Value& left, const Value& right) {
  return is_equal(left, right, 0);
}

} // namespace torchlite
