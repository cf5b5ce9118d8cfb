// What models compute with: numbers, strings, tensors, and lists, dicts, tuples and objects of these.

#pragma once

#include "type.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Scalar.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace torchlite {

struct Text;
struct List;
struct Dict;
struct Tuple;
struct Object;
struct Custom;

enum class Tag : uint8_t {
  None,
  Int,
  Float,
  Bool,
  Device,
  // What follows is counted by its references.
  Tensor, // without an implementation where the tensor is undefined
  String,
  List,
  Dict,
  Tuple,
  Object,
};

class Value {
 public:
  Value() noexcept : tag_(Tag::None) {
    as_.integer = 0;
  }
  Value(const Value& other) noexcept : tag_(other.tag_), as_(other.as_) {
    if (is_counted()) {
      c10::raw::intrusive_ptr::incref(as_.counted);
    }
  }
  Value(Value&& other) noexcept : tag_(other.tag_), as_(other.as_) {
    other.tag_ = Tag::None;
  }
  Value& operator=(Value other) noexcept {
    std::swap(tag_, other.tag_);
    std::swap(as_, other.as_);
    return *this;
  }
  ~Value() {
    if (is_counted()) {
      release();
    }
  }

  Value(bool value) noexcept : tag_(Tag::Bool) {
    as_.integer = value ? 1 : 0;
  }
  Value(int64_t value) noexcept : tag_(Tag::Int) {
    as_.integer = value;
  }
  Value(int32_t value) noexcept : Value(static_cast<int64_t>(value)) {}
  Value(size_t value) noexcept : Value(static_cast<int64_t>(value)) {}
  Value(double value) noexcept : tag_(Tag::Float) {
    as_.real = value;
  }
  Value(c10::Device value) noexcept : tag_(Tag::Device) {
    as_.device = {value.type(), value.index()};
  }
  Value(const at::Tensor& tensor) : Value(at::Tensor(tensor)) {}
  Value(at::Tensor&& tensor) : tag_(Tag::Tensor) {
    // release() gives the one undefined tensor of all, which nobody counts.
    as_.counted = tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
  }
  Value(const c10::Scalar& number);
  Value(std::string text);
  Value(const char* text) : Value(std::string(text)) {}
  Value(c10::intrusive_ptr<Text> value) noexcept;
  Value(c10::intrusive_ptr<List> value) noexcept;
  Value(c10::intrusive_ptr<Dict> value) noexcept;
  Value(c10::intrusive_ptr<Tuple> value) noexcept;
  Value(c10::intrusive_ptr<Object> value) noexcept;

  Tag tag() const {
    return tag_;
  }
  bool is(Tag tag) const {
    return tag_ == tag;
  }
  bool is_none() const {
    return tag_ == Tag::None;
  }
  bool is_number() const {
    return tag_ == Tag::Int || tag_ == Tag::Float || tag_ == Tag::Bool;
  }

  // Each refuses a value of another kind.
  bool to_bool() const {
    expect(Tag::Bool);
    return as_.integer != 0;
  }
  int64_t to_int() const {
    expect(Tag::Int);
    return as_.integer;
  }
  double to_float() const {
    expect(Tag::Float);
    return as_.real;
  }
  c10::Device to_device() const {
    expect(Tag::Device);
    return c10::Device(as_.device.type, as_.device.index);
  }
  c10::Scalar to_scalar() const;
  at::Tensor to_tensor() const&;
  at::Tensor to_tensor() &&;
  const std::string& to_text() const;
  List& to_list() const;
  Dict& to_dict() const;
  Tuple& to_tuple() const;
  Object& to_object() const;

  // Whether both are one thing: what Python's `is` says.
  bool is_same(const Value& other) const;

  // How many hold what it refers to; 1 for numbers.
  size_t uses() const;

  // Its address, for what is counted.
  const void* identity() const {
    return is_counted() ? as_.counted : nullptr;
  }

 private:
  Value(Tag tag, c10::intrusive_ptr_target* counted) noexcept : tag_(tag) {
    as_.counted = counted;
  }
  bool is_counted() const {
    return tag_ >= Tag::Tensor && as_.counted != nullptr;
  }
  void release();
  void expect(Tag tag) const {
    if (__builtin_expect(tag_ != tag, false)) {
      refuse(tag);
    }
  }
  [[noreturn]] void refuse(Tag wanted) const;

  Tag tag_;
  union {
    int64_t integer;
    double real;
    struct {
      c10::DeviceType type;
      c10::DeviceIndex index;
    } device;
    c10::intrusive_ptr_target* counted;
  } as_;
};

using Stack = std::vector<Value>;

struct Text final : c10::intrusive_ptr_target {
  explicit Text(std::string text) : text(std::move(text)) {}
  const std::string text;
};

struct List final : c10::intrusive_ptr_target {
  explicit List(TypePtr item, std::vector<Value> items = {}) : item(std::move(item)), items(std::move(items)) {}
  ~List() override;
  const TypePtr item; // the type of its items
  std::vector<Value> items;
};

struct Tuple final : c10::intrusive_ptr_target {
  explicit Tuple(std::vector<Value> items, TypePtr type = {}) : items(std::move(items)), type(std::move(type)) {}
  ~Tuple() override;
  std::vector<Value> items; // not changed after it is made
  const TypePtr type; // of a named one
};

// Keeps the order in which keys were added. Keys are numbers, strings and tensors.
struct Dict final : c10::intrusive_ptr_target {
  using Entry = std::pair<Value, Value>;
  Dict(TypePtr key, TypePtr item) : key(std::move(key)), item(std::move(item)) {}
  ~Dict() override;

  size_t size() const {
    return entries.size();
  }
  // Null when there is none.
  Value* find(const Value& key);
  // Refuses a key that cannot be one.
  void set(const Value& key, Value value);
  bool erase(const Value& key);
  void clear();

  const TypePtr key; // the types of its keys and values
  const TypePtr item;
  std::vector<Entry> entries; // for reading

 private:
  static size_t hash(const Value& key);
  size_t locate(const Value& key);
  std::unordered_multimap<size_t, size_t> places_; // by hash, of a dict with many entries
};

// An object of a class of the model; `held` of one of a C++ class.
struct Object final : c10::intrusive_ptr_target {
  Object(TypePtr type, size_t count) : type(std::move(type)), slots(count) {}
  ~Object() override;
  const TypePtr type;
  std::vector<Value> slots;
  c10::intrusive_ptr<c10::intrusive_ptr_target> held;
};

// The type that a value has.
TypePtr type_of(const Value& value);

// "float32[1, 3]", "List[int]".
std::string describe(const Value& value);

// What Python's `==` says, of items one by one; refuses a comparison of tensors.
bool is_equal(const Value& left, const Value& right);

// Refuses a value that is not what an operator or a builtin takes.
[[noreturn]] void refuse_value(const Value& value, const char* wanted);

} // namespace torchlite
