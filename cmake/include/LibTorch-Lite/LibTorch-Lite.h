// LibTorch-Lite.h: the names of PyTorch's C++ API that apps of the pod LibTorch-Lite use, over the C API of a runtime.
//
// A header alone, for C++14 and newer: a TorchModule.mm, or C++ on any system, compiles as it is and is linked with the
// runtime that builder built. There are no operators here: tensors carry inputs and results. What a model computes, the
// runtime computes. Errors of the runtime are thrown as c10::Error.
//
// Tensors are dense and row-major. from_blob() refers to the caller's memory, as PyTorch's does; tensors of a result live
// as long as one copy of them. Modules may be called from several threads; calls of one wait for each other.

#ifndef LIBTORCH_LITE_H
#define LIBTORCH_LITE_H

#if defined(__has_include)
#if __has_include(<LibTorchLite/torchlite.h>)
#include <LibTorchLite/torchlite.h> // in an xcframework
#else
#include "../torchlite.h"
#endif
#else
#include "../torchlite.h"
#endif

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <istream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace c10 {

// Derived from std::exception, as PyTorch's.
class Error : public std::exception {
 public:
  explicit Error(std::string text) : text_(std::move(text)) {}

  const char* what() const noexcept override {
    return text_.c_str();
  }

  const char* what_without_backtrace() const noexcept {
    return text_.c_str();
  }

  const std::string& msg() const noexcept {
    return text_;
  }

 private:
  std::string text_;
};

enum class ScalarType : int8_t {
  Byte = TORCHLITE_UINT8,
  Char = TORCHLITE_INT8,
  Short = TORCHLITE_INT16,
  Int = TORCHLITE_INT32,
  Long = TORCHLITE_INT64,
  Half = TORCHLITE_FLOAT16,
  Float = TORCHLITE_FLOAT32,
  Double = TORCHLITE_FLOAT64,
  Bool = TORCHLITE_BOOL,
};

constexpr ScalarType kByte = ScalarType::Byte;
constexpr ScalarType kChar = ScalarType::Char;
constexpr ScalarType kShort = ScalarType::Short;
constexpr ScalarType kInt = ScalarType::Int;
constexpr ScalarType kLong = ScalarType::Long;
constexpr ScalarType kHalf = ScalarType::Half;
constexpr ScalarType kFloat = ScalarType::Float;
constexpr ScalarType kDouble = ScalarType::Double;
constexpr ScalarType kBool = ScalarType::Bool;

// Bytes of an element.
inline size_t elementSize(ScalarType type) {
  switch (type) {
    case ScalarType::Short:
    case ScalarType::Half:
      return 2;
    case ScalarType::Int:
    case ScalarType::Float:
      return 4;
    case ScalarType::Long:
    case ScalarType::Double:
      return 8;
    default:
      return 1;
  }
}

enum class DeviceType : int8_t { CPU = 0, Vulkan = 10, Metal = 11 };

constexpr DeviceType kCPU = DeviceType::CPU;
constexpr DeviceType kMetal = DeviceType::Metal;
constexpr DeviceType kVulkan = DeviceType::Vulkan;

// Of no effect: a model runs where it was exported to run, and the runtime moves inputs and results.
class Device {
 public:
  Device(DeviceType type) : type_(type) {}

  DeviceType type() const noexcept {
    return type_;
  }

 private:
  DeviceType type_;
};

// Elements that somebody else owns.
template <typename T>
class ArrayRef {
 public:
  ArrayRef() = default;
  ArrayRef(const T* data, size_t size) : data_(data), size_(size) {}
  ArrayRef(const T& one) : data_(&one), size_(1) {}
  ArrayRef(const std::vector<T>& items) : data_(items.data()), size_(items.size()) {}
  // The list lives until the end of the statement, as an argument does.
  ArrayRef(const std::initializer_list<T>& items) : size_(items.size()) {
    data_ = items.begin();
  }

  const T* begin() const {
    return data_;
  }

  const T* end() const {
    return data_ + size_;
  }

  const T* data() const {
    return data_;
  }

  size_t size() const {
    return size_;
  }

  bool empty() const {
    return size_ == 0;
  }

  const T& operator[](size_t index) const {
    return data_[index];
  }

  std::vector<T> vec() const {
    return std::vector<T>(begin(), end());
  }

 private:
  const T* data_ = nullptr;
  size_t size_ = 0;
};

template <typename T>
bool operator==(const ArrayRef<T>& one, const ArrayRef<T>& other) {
  return one.size() == other.size() && std::equal(one.begin(), one.end(), other.begin());
}

using IntArrayRef = ArrayRef<int64_t>;

class TensorOptions {
 public:
  TensorOptions() = default;
  TensorOptions(ScalarType type) : type_(type) {}

  TensorOptions dtype(ScalarType type) const {
    return TensorOptions(type);
  }

  ScalarType dtype() const noexcept {
    return type_;
  }

  TensorOptions device(Device) const {
    return *this;
  }

  TensorOptions requires_grad(bool) const {
    return *this;
  }

 private:
  ScalarType type_ = ScalarType::Float;
};

// PyTorch's guards. A runtime records no gradients, so they have nothing to do.
struct InferenceMode {
  explicit InferenceMode(bool = true) {}
  ~InferenceMode() {}
};

struct AutoGradMode {
  explicit AutoGradMode(bool) {}
  ~AutoGradMode() {}
};

// PyTorch keeps freed memory of one call for the next one with it. A runtime has nothing of the kind; it is of no effect.
class CPUCachingAllocator {};

class WithCPUCachingAllocatorGuard {
 public:
  explicit WithCPUCachingAllocatorGuard(CPUCachingAllocator*) {}
  ~WithCPUCachingAllocatorGuard() {}
};

enum class QEngine : uint8_t { NoQEngine = 0, FBGEMM = 1, QNNPACK = 2, ONEDNN = 3, X86 = 4 };

} // namespace c10

namespace at {

using c10::ArrayRef;
using c10::Device;
using c10::DeviceType;
using c10::IntArrayRef;
using c10::QEngine;
using c10::ScalarType;
using c10::TensorOptions;
using c10::elementSize;
using c10::kBool;
using c10::kByte;
using c10::kCPU;
using c10::kChar;
using c10::kDouble;
using c10::kFloat;
using c10::kHalf;
using c10::kInt;
using c10::kLong;
using c10::kMetal;
using c10::kShort;
using c10::kVulkan;

struct AutoNonVariableTypeMode {
  explicit AutoNonVariableTypeMode(bool = true) {}
  ~AutoNonVariableTypeMode() {}
};

struct AutoDispatchBelowADInplaceOrView {
  ~AutoDispatchBelowADInplaceOrView() {}
};

class Context {
 public:
  // Quantised operators of a runtime are those of QNNPACK.
  std::vector<QEngine> supportedQEngines() const {
    return {QEngine::QNNPACK};
  }

  QEngine qEngine() const {
    return QEngine::QNNPACK;
  }

  void setQEngine(QEngine engine) {
    if (engine != QEngine::QNNPACK) {
      throw c10::Error("quantised operators of this runtime are those of QNNPACK");
    }
  }
};

inline Context& globalContext() {
  static Context context;
  return context;
}

namespace detail {

template <typename T>
struct ScalarTypeOf;

template <ScalarType Type>
struct ScalarTypeIs {
  static constexpr ScalarType value = Type;
};

template <> struct ScalarTypeOf<uint8_t> : ScalarTypeIs<ScalarType::Byte> {};
template <> struct ScalarTypeOf<int8_t> : ScalarTypeIs<ScalarType::Char> {};
template <> struct ScalarTypeOf<int16_t> : ScalarTypeIs<ScalarType::Short> {};
template <> struct ScalarTypeOf<int32_t> : ScalarTypeIs<ScalarType::Int> {};
template <> struct ScalarTypeOf<long> : ScalarTypeIs<sizeof(long) == 8 ? ScalarType::Long : ScalarType::Int> {};
template <> struct ScalarTypeOf<long long> : ScalarTypeIs<ScalarType::Long> {};
template <> struct ScalarTypeOf<float> : ScalarTypeIs<ScalarType::Float> {};
template <> struct ScalarTypeOf<double> : ScalarTypeIs<ScalarType::Double> {};
template <> struct ScalarTypeOf<bool> : ScalarTypeIs<ScalarType::Bool> {};

inline const char* name_of(ScalarType type) {
  switch (type) {
    case ScalarType::Byte:
      return "Byte";
    case ScalarType::Char:
      return "Char";
    case ScalarType::Short:
      return "Short";
    case ScalarType::Int:
      return "Int";
    case ScalarType::Long:
      return "Long";
    case ScalarType::Half:
      return "Half";
    case ScalarType::Float:
      return "Float";
    case ScalarType::Double:
      return "Double";
    case ScalarType::Bool:
      return "Bool";
  }
  return "?";
}

inline void check(torchlite_status status) {
  if (status != TORCHLITE_OK) {
    throw c10::Error(torchlite_error());
  }
}

// As C takes it, which would not read on behind a NUL character.
inline const char* c_text(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw c10::Error("a text, a name or a path has a NUL character");
  }
  return text.c_str();
}

// Whether a T can stand for a number. As in PyTorch, negative ones may become unsigned, fractions are cut, and all may
// become bool.
template <typename T>
bool fits(int64_t value, std::true_type /* T is integral */) {
  if (std::is_same<T, bool>::value) {
    return true;
  }
  const auto most = static_cast<uint64_t>(std::numeric_limits<T>::max());
  if (value >= 0) {
    return static_cast<uint64_t>(value) <= most;
  }
  const uint64_t below = 0 - static_cast<uint64_t>(value);
  return std::numeric_limits<T>::is_signed ? below <= most + 1 : below <= most;
}

template <typename T>
bool fits(double value, std::true_type /* T is integral */) {
  return std::is_same<T, bool>::value ||
      (value >= static_cast<double>(std::numeric_limits<T>::lowest()) &&
       value < std::ldexp(1.0, std::numeric_limits<T>::digits));
}

template <typename T>
bool fits(int64_t, std::false_type /* T is integral */) {
  return true;
}

template <typename T>
bool fits(double value, std::false_type /* T is integral */) {
  return !std::isfinite(value) || std::fabs(value) <= static_cast<double>(std::numeric_limits<T>::max());
}

template <typename T, typename Number>
T convert(Number value) {
  if (!fits<T>(value, std::is_integral<T>())) {
    throw c10::Error("the number " + std::to_string(value) + " does not fit into the type that was asked for");
  }
  return static_cast<T>(value);
}

} // namespace detail

class Tensor {
 public:
  Tensor() = default;

  // `owner`: keeps the memory, where somebody has to.
  Tensor(void* data, std::vector<int64_t> sizes, ScalarType type, std::shared_ptr<void> owner)
      : held_(std::make_shared<Held>(Held{data, std::move(sizes), type, std::move(owner)})) {
    size_t count = elementSize(type);
    for (const int64_t size : held_->sizes) {
      if (size < 0 || (size > 0 && count > SIZE_MAX / static_cast<size_t>(size))) {
        throw c10::Error("the sizes of a tensor are negative, or too large");
      }
      count *= static_cast<size_t>(size);
    }
    bytes_ = count;
  }

  bool defined() const noexcept {
    return held_ != nullptr;
  }

  ScalarType scalar_type() const {
    return held().type;
  }

  ScalarType dtype() const {
    return held().type;
  }

  IntArrayRef sizes() const {
    return held().sizes;
  }

  int64_t dim() const {
    return static_cast<int64_t>(held().sizes.size());
  }

  int64_t ndimension() const {
    return dim();
  }

  // A negative index counts from the last dimension.
  int64_t size(int64_t index) const {
    const int64_t dims = dim(), at = index < 0 ? index + dims : index;
    if (at < 0 || at >= dims) {
      throw c10::Error("a tensor of " + std::to_string(dims) + " dimensions has no dimension " + std::to_string(index));
    }
    return held().sizes[static_cast<size_t>(at)];
  }

  int64_t numel() const {
    return static_cast<int64_t>(nbytes() / element_size());
  }

  size_t element_size() const {
    return elementSize(held().type);
  }

  size_t itemsize() const {
    return element_size();
  }

  size_t nbytes() const {
    held();
    return bytes_;
  }

  void* data_ptr() const {
    return held().data;
  }

  // The elements; throws where they are of another type.
  template <typename T>
  T* data_ptr() const {
    constexpr ScalarType wanted = detail::ScalarTypeOf<typename std::remove_const<T>::type>::value;
    if (wanted != held().type) {
      throw c10::Error(
          std::string("expected scalar type ") + detail::name_of(wanted) + " but found " +
          detail::name_of(held().type));
    }
    return static_cast<T*>(held().data);
  }

  template <typename T>
  const T* const_data_ptr() const {
    return data_ptr<T>();
  }

  // The one element of a tensor, as a T; throws where a T cannot stand for it.
  template <typename T>
  T item() const {
    if (numel() != 1) {
      throw c10::Error("a tensor of " + std::to_string(numel()) + " elements is not a scalar");
    }
    switch (held().type) {
      case ScalarType::Byte:
        return detail::convert<T>(int64_t{*data_ptr<uint8_t>()});
      case ScalarType::Char:
        return detail::convert<T>(int64_t{*data_ptr<int8_t>()});
      case ScalarType::Short:
        return detail::convert<T>(int64_t{*data_ptr<int16_t>()});
      case ScalarType::Int:
        return detail::convert<T>(int64_t{*data_ptr<int32_t>()});
      case ScalarType::Long:
        return detail::convert<T>(int64_t{*data_ptr<int64_t>()});
      case ScalarType::Float:
        return detail::convert<T>(double{*data_ptr<float>()});
      case ScalarType::Double:
        return detail::convert<T>(double{*data_ptr<double>()});
      case ScalarType::Bool:
        return detail::convert<T>(int64_t{*data_ptr<bool>()});
      default:
        throw c10::Error("a tensor of half floats has no item() here");
    }
  }

  // A copy of its own.
  Tensor clone() const {
    std::shared_ptr<void> memory(std::malloc(nbytes() > 0 ? nbytes() : 1), std::free);
    if (memory == nullptr) {
      throw c10::Error("there is no memory for a copy of a tensor");
    }
    if (nbytes() > 0) {
      std::memcpy(memory.get(), held().data, nbytes());
    }
    void* const data = memory.get();
    return Tensor(data, held().sizes, held().type, std::move(memory));
  }

  // All are row-major, and in the memory of the CPU: the runtime moves inputs to a GPU, and results from it.
  bool is_contiguous() const {
    return defined();
  }

  Tensor contiguous() const {
    return *this;
  }

  Tensor cpu() const {
    return *this;
  }

  Tensor metal() const {
    return *this;
  }

  Tensor vulkan() const {
    return *this;
  }

  Tensor detach() const {
    return *this;
  }

 private:
  struct Held {
    void* data;
    std::vector<int64_t> sizes;
    ScalarType type;
    std::shared_ptr<void> owner;
  };

  const Held& held() const {
    if (held_ == nullptr) {
      throw c10::Error("a tensor is undefined");
    }
    return *held_;
  }

  std::shared_ptr<const Held> held_;
  size_t bytes_ = 0;
};

using TensorList = ArrayRef<Tensor>;

// A tensor over memory that the caller keeps as long as the tensor is used.
inline Tensor from_blob(void* data, IntArrayRef sizes, const TensorOptions& options = {}) {
  return Tensor(data, sizes.vec(), options.dtype(), nullptr);
}

// `deleter`, where there is one, is called with `data` once no tensor refers to it any more, and never where the sizes are
// refused.
inline Tensor from_blob(
    void* data, IntArrayRef sizes, const std::function<void(void*)>& deleter, const TensorOptions& options = {}) {
  const Tensor checked = from_blob(data, sizes, options);
  return deleter ? Tensor(data, sizes.vec(), options.dtype(), std::shared_ptr<void>(data, deleter)) : checked;
}

inline void set_num_threads(int threads) {
  detail::check(torchlite_set_threads(threads));
}

inline void manual_seed(uint64_t seed) {
  detail::check(torchlite_set_seed(seed));
}

} // namespace at

namespace c10 {

struct IValue;

// A pointer that shares what it points to.
template <typename T>
using intrusive_ptr = std::shared_ptr<T>;

template <typename T>
class List;

namespace impl {

using GenericList = List<IValue>;
class GenericDict;

} // namespace impl

namespace ivalue {

struct Tuple;

class ConstantString {
 public:
  explicit ConstantString(std::string text) : text_(std::move(text)) {}

  const std::string& string() const {
    return text_;
  }

 private:
  std::string text_;
};

} // namespace ivalue

// Any value that a method takes or returns.
struct IValue {
 public:
  IValue() = default; // None
  IValue(const IValue&) = default;
  IValue& operator=(const IValue&) = default;

  // What was moved from is None.
  IValue(IValue&& other) noexcept {
    swap(other);
  }

  IValue& operator=(IValue&& other) noexcept {
    IValue taken(std::move(other));
    swap(taken);
    return *this;
  }

  IValue(at::Tensor tensor) : kind_(TORCHLITE_VALUE_TENSOR), tensor_(std::move(tensor)) {}
  IValue(bool value) : kind_(TORCHLITE_VALUE_BOOL), integer_(value ? 1 : 0) {}
  template <typename T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0>
  IValue(T value) : kind_(TORCHLITE_VALUE_INT), integer_(static_cast<int64_t>(value)) {}
  IValue(double value) : kind_(TORCHLITE_VALUE_FLOAT), real_(value) {}
  IValue(std::string text)
      : kind_(TORCHLITE_VALUE_STRING), text_(std::make_shared<ivalue::ConstantString>(std::move(text))) {}
  IValue(const char* text) : IValue(std::string(text)) {}
  template <typename T>
  inline IValue(const List<T>& list);
  template <typename T>
  inline IValue(const std::vector<T>& list);
  template <typename T>
  inline IValue(ArrayRef<T> list);
  inline IValue(impl::GenericDict dict);
  IValue(intrusive_ptr<ivalue::Tuple> tuple) : kind_(TORCHLITE_VALUE_TUPLE), tuple_(std::move(tuple)) {}

  bool isNone() const {
    return kind_ == TORCHLITE_VALUE_NONE;
  }

  bool isTensor() const {
    return kind_ == TORCHLITE_VALUE_TENSOR;
  }

  bool isBool() const {
    return kind_ == TORCHLITE_VALUE_BOOL;
  }

  bool isInt() const {
    return kind_ == TORCHLITE_VALUE_INT;
  }

  bool isDouble() const {
    return kind_ == TORCHLITE_VALUE_FLOAT;
  }

  bool isString() const {
    return kind_ == TORCHLITE_VALUE_STRING;
  }

  bool isList() const {
    return kind_ == TORCHLITE_VALUE_LIST;
  }

  bool isTuple() const {
    return kind_ == TORCHLITE_VALUE_TUPLE;
  }

  bool isGenericDict() const {
    return kind_ == TORCHLITE_VALUE_DICT;
  }

  inline bool isTensorList() const;

  const at::Tensor& toTensor() const& {
    expect(TORCHLITE_VALUE_TENSOR, "Tensor");
    return tensor_;
  }

  // Of a value that ends with the statement, such as the result of forward().
  at::Tensor toTensor() && {
    expect(TORCHLITE_VALUE_TENSOR, "Tensor");
    const IValue ended(std::move(*this));
    return ended.tensor_;
  }

  bool toBool() const {
    expect(TORCHLITE_VALUE_BOOL, "bool");
    return integer_ != 0;
  }

  int64_t toInt() const {
    expect(TORCHLITE_VALUE_INT, "int");
    return integer_;
  }

  double toDouble() const {
    expect(TORCHLITE_VALUE_FLOAT, "float");
    return real_;
  }

  intrusive_ptr<ivalue::ConstantString> toString() const {
    expect(TORCHLITE_VALUE_STRING, "str");
    return text_;
  }

  const std::string& toStringRef() const {
    expect(TORCHLITE_VALUE_STRING, "str");
    return text_->string();
  }

  intrusive_ptr<ivalue::Tuple> toTuple() const {
    expect(TORCHLITE_VALUE_TUPLE, "Tuple");
    return tuple_;
  }

  inline const ivalue::Tuple& toTupleRef() const;
  inline impl::GenericList toList() const;
  inline ArrayRef<IValue> toListRef() const;
  inline List<at::Tensor> toTensorList() const;
  inline std::vector<at::Tensor> toTensorVector() const;
  inline List<int64_t> toIntList() const;
  inline std::vector<int64_t> toIntVector() const;
  inline List<double> toDoubleList() const;
  inline std::vector<double> toDoubleVector() const;
  inline List<bool> toBoolList() const;
  inline impl::GenericDict toGenericDict() const;

  // The value as a Tensor, int64_t, double, bool, std::string or IValue.
  template <typename T>
  inline T to() const;

  // "Tensor", "int" and so on.
  const char* tagKind() const {
    switch (kind_) {
      case TORCHLITE_VALUE_NONE:
        return "None";
      case TORCHLITE_VALUE_TENSOR:
        return "Tensor";
      case TORCHLITE_VALUE_BOOL:
        return "bool";
      case TORCHLITE_VALUE_INT:
        return "int";
      case TORCHLITE_VALUE_FLOAT:
        return "float";
      case TORCHLITE_VALUE_STRING:
        return "str";
      case TORCHLITE_VALUE_LIST:
        return "List";
      case TORCHLITE_VALUE_TUPLE:
        return "Tuple";
      default:
        return "Dict";
    }
  }

 private:
  void swap(IValue& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(integer_, other.integer_);
    std::swap(real_, other.real_);
    std::swap(tensor_, other.tensor_);
    std::swap(text_, other.text_);
    std::swap(list_, other.list_);
    std::swap(tuple_, other.tuple_);
    std::swap(dict_, other.dict_);
  }

  void expect(torchlite_kind kind, const char* wanted) const {
    if (kind_ != kind) {
      throw Error(std::string("expected ") + wanted + " but got " + tagKind());
    }
  }

  torchlite_kind kind_ = TORCHLITE_VALUE_NONE;
  int64_t integer_ = 0;
  double real_ = 0;
  at::Tensor tensor_;
  std::shared_ptr<ivalue::ConstantString> text_;
  std::shared_ptr<std::vector<IValue>> list_;
  std::shared_ptr<ivalue::Tuple> tuple_;
  std::shared_ptr<impl::GenericDict> dict_;
};

namespace ivalue {

struct Tuple {
  static intrusive_ptr<Tuple> create(std::vector<IValue> elements) {
    auto made = std::make_shared<Tuple>();
    made->elements_ = std::move(elements);
    return made;
  }

  const std::vector<IValue>& elements() const {
    return elements_;
  }

  size_t size() const {
    return elements_.size();
  }

 private:
  std::vector<IValue> elements_;
};

} // namespace ivalue

namespace impl {

// A dict in the order of insertion, whose keys are strings; its copies are one dict.
class GenericDict {
 public:
  class Entry {
   public:
    Entry(std::string key, IValue value) : key_(std::move(key)), value_(std::move(value)) {}

    const IValue& key() const {
      return key_;
    }

    const IValue& value() const {
      return value_;
    }

   private:
    friend class GenericDict;
    IValue key_;
    IValue value_;
  };

  GenericDict() : entries_(std::make_shared<std::vector<Entry>>()) {}
  // A move copies, as in PyTorch: what was moved from is still a dict.
  GenericDict(const GenericDict&) = default;
  GenericDict& operator=(const GenericDict&) = default;

  size_t size() const {
    return entries_->size();
  }

  bool empty() const {
    return entries_->empty();
  }

  bool contains(const IValue& key) const {
    return find(key) != nullptr;
  }

  IValue at(const IValue& key) const {
    const Entry* found = find(key);
    if (found == nullptr) {
      throw Error("a dict has no key '" + key.toStringRef() + "'");
    }
    return found->value();
  }

  // Does nothing where the key is there.
  void insert(const IValue& key, IValue value) const {
    if (find(key) == nullptr) {
      entries_->emplace_back(key.toStringRef(), std::move(value));
    }
  }

  void insert_or_assign(const IValue& key, IValue value) const {
    for (auto& entry : *entries_) {
      if (entry.key_.toStringRef() == key.toStringRef()) {
        entry.value_ = std::move(value);
        return;
      }
    }
    entries_->emplace_back(key.toStringRef(), std::move(value));
  }

  std::vector<Entry>::const_iterator begin() const {
    return entries_->cbegin();
  }

  std::vector<Entry>::const_iterator end() const {
    return entries_->cend();
  }

 private:
  const Entry* find(const IValue& key) const {
    for (const auto& entry : *entries_) {
      if (entry.key_.toStringRef() == key.toStringRef()) {
        return &entry;
      }
    }
    return nullptr;
  }

  std::shared_ptr<std::vector<Entry>> entries_;
};

} // namespace impl

// Dicts from strings to values.
template <typename Key, typename T>
class Dict : public impl::GenericDict {
 public:
  static_assert(std::is_same<Key, std::string>::value, "keys of dicts are strings");
};

namespace detail {

// How a value is read as a T.
template <typename T>
struct Unboxed;

template <>
struct Unboxed<IValue> {
  static const IValue& of(const IValue& value) {
    return value;
  }
};

template <>
struct Unboxed<at::Tensor> {
  static const at::Tensor& of(const IValue& value) {
    return value.toTensor();
  }
};

template <>
struct Unboxed<std::string> {
  static const std::string& of(const IValue& value) {
    return value.toStringRef();
  }
};

template <>
struct Unboxed<int64_t> {
  static int64_t of(const IValue& value) {
    return value.toInt();
  }
};

template <>
struct Unboxed<double> {
  static double of(const IValue& value) {
    return value.toDouble();
  }
};

template <>
struct Unboxed<bool> {
  static bool of(const IValue& value) {
    return value.toBool();
  }
};

} // namespace detail

template <typename T>
inline T IValue::to() const {
  return detail::Unboxed<T>::of(*this);
}

// A list, whose copies are one list, also where values hold it.
template <typename T>
class List {
 public:
  class const_iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = decltype(detail::Unboxed<T>::of(std::declval<const IValue&>()));

    explicit const_iterator(const IValue* at) : at_(at) {}

    reference operator*() const {
      return detail::Unboxed<T>::of(*at_);
    }

    pointer operator->() const {
      return &**this;
    }

    const_iterator& operator++() {
      ++at_;
      return *this;
    }

    const_iterator operator++(int) {
      return const_iterator(at_++);
    }

    const_iterator operator+(difference_type count) const {
      return const_iterator(at_ + count);
    }

    difference_type operator-(const const_iterator& other) const {
      return at_ - other.at_;
    }

    bool operator==(const const_iterator& other) const {
      return at_ == other.at_;
    }

    bool operator!=(const const_iterator& other) const {
      return at_ != other.at_;
    }

   private:
    const IValue* at_;
  };

  List() : items_(std::make_shared<std::vector<IValue>>()) {}
  // A move copies, as in PyTorch: what was moved from is still a list.
  List(const List&) = default;
  List& operator=(const List&) = default;

  List(std::initializer_list<T> items) : List() {
    add(items);
  }

  explicit List(const std::vector<T>& items) : List() {
    add(items);
  }

  size_t size() const {
    return items_->size();
  }

  bool empty() const {
    return items_->empty();
  }

  T get(size_t index) const {
    if (index >= items_->size()) {
      throw Error("a list of " + std::to_string(items_->size()) + " items has no item " + std::to_string(index));
    }
    return detail::Unboxed<T>::of((*items_)[index]);
  }

  // A copy, which nothing can be assigned to: set() changes an item.
  const T operator[](size_t index) const {
    return get(index);
  }

  void set(size_t index, T item) const {
    get(index); // throws where there is none
    (*items_)[index] = IValue(std::move(item));
  }

  void clear() const {
    items_->clear();
  }

  void push_back(T item) const {
    items_->push_back(IValue(std::move(item)));
  }

  void emplace_back(T item) const {
    push_back(std::move(item));
  }

  void reserve(size_t size) const {
    items_->reserve(size);
  }

  const_iterator begin() const {
    return const_iterator(items_->data());
  }

  const_iterator end() const {
    return const_iterator(items_->data() + items_->size());
  }

  std::vector<T> vec() const {
    return std::vector<T>(begin(), end());
  }

 private:
  friend struct IValue;

  // Throws where an item is of another type.
  explicit List(std::shared_ptr<std::vector<IValue>> items) : items_(std::move(items)) {
    for (const auto& item : *items_) {
      detail::Unboxed<T>::of(item);
    }
  }

  template <typename Items>
  void add(const Items& items) {
    for (T item : items) {
      push_back(std::move(item));
    }
  }

  std::shared_ptr<std::vector<IValue>> items_;
};

template <typename T>
inline IValue::IValue(const List<T>& list) : kind_(TORCHLITE_VALUE_LIST), list_(list.items_) {}

template <typename T>
inline IValue::IValue(const std::vector<T>& list)
    : kind_(TORCHLITE_VALUE_LIST), list_(std::make_shared<std::vector<IValue>>()) {
  for (T item : list) { // a std::vector<bool> has no bools
    list_->push_back(IValue(std::move(item)));
  }
}

template <typename T>
inline IValue::IValue(ArrayRef<T> list) : IValue(list.vec()) {}

inline IValue::IValue(impl::GenericDict dict)
    : kind_(TORCHLITE_VALUE_DICT), dict_(std::make_shared<impl::GenericDict>(std::move(dict))) {}

inline bool IValue::isTensorList() const {
  return isList() &&
      std::all_of(list_->begin(), list_->end(), [](const IValue& item) { return item.isTensor(); });
}

inline const ivalue::Tuple& IValue::toTupleRef() const {
  expect(TORCHLITE_VALUE_TUPLE, "Tuple");
  return *tuple_;
}

inline impl::GenericList IValue::toList() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return impl::GenericList(list_);
}

inline ArrayRef<IValue> IValue::toListRef() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return *list_;
}

inline List<at::Tensor> IValue::toTensorList() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return List<at::Tensor>(list_);
}

inline std::vector<at::Tensor> IValue::toTensorVector() const {
  return toTensorList().vec();
}

inline List<int64_t> IValue::toIntList() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return List<int64_t>(list_);
}

inline std::vector<int64_t> IValue::toIntVector() const {
  return toIntList().vec();
}

inline List<double> IValue::toDoubleList() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return List<double>(list_);
}

inline std::vector<double> IValue::toDoubleVector() const {
  return toDoubleList().vec();
}

inline List<bool> IValue::toBoolList() const {
  expect(TORCHLITE_VALUE_LIST, "List");
  return List<bool>(list_);
}

inline impl::GenericDict IValue::toGenericDict() const {
  expect(TORCHLITE_VALUE_DICT, "Dict");
  return *dict_;
}

} // namespace c10

namespace at {

using c10::IValue;

} // namespace at

namespace torch {

using at::Tensor;
using at::TensorList;
using at::from_blob;
using at::kBool;
using at::kByte;
using at::kCPU;
using at::kChar;
using at::kDouble;
using at::kFloat;
using at::kHalf;
using at::kInt;
using at::kLong;
using at::kMetal;
using at::kShort;
using at::kVulkan;
using at::manual_seed;
using at::set_num_threads;
using c10::Device;
using c10::Dict;
using c10::IValue;
using c10::IntArrayRef;
using c10::List;
using c10::TensorOptions;

constexpr c10::ScalarType kUInt8 = at::kByte;
constexpr c10::ScalarType kInt8 = at::kChar;
constexpr c10::ScalarType kInt16 = at::kShort;
constexpr c10::ScalarType kInt32 = at::kInt;
constexpr c10::ScalarType kInt64 = at::kLong;
constexpr c10::ScalarType kFloat16 = at::kHalf;
constexpr c10::ScalarType kFloat32 = at::kFloat;
constexpr c10::ScalarType kFloat64 = at::kDouble;

inline TensorOptions dtype(c10::ScalarType type) {
  return TensorOptions(type);
}

struct NoGradGuard {
  ~NoGradGuard() {}
};

using c10::AutoGradMode;
using c10::InferenceMode;

namespace autograd {

using c10::AutoGradMode;

} // namespace autograd

namespace jit {

using c10::IValue;

// Name of an extra file in a model -> what it holds.
using ExtraFilesMap = std::unordered_map<std::string, std::string>;

namespace detail {

using at::detail::check;

// What the C API takes for one call; it refers to the values.
class Given {
 public:
  explicit Given(const std::vector<IValue>& values) {
    for (const auto& value : values) {
      shown_.push_back(show(value));
    }
  }

  Given(const Given&) = delete;

  const torchlite_value* data() const {
    return shown_.data();
  }

  size_t size() const {
    return shown_.size();
  }

 private:
  torchlite_value show(const IValue& value) {
    torchlite_value shown{};
    if (value.isTensor()) {
      const at::Tensor& tensor = value.toTensor();
      shown.kind = TORCHLITE_VALUE_TENSOR;
      shown.as.tensor = {
          static_cast<torchlite_dtype>(tensor.scalar_type()),
          static_cast<int32_t>(tensor.dim()),
          tensor.sizes().data(),
          tensor.data_ptr()};
    } else if (value.isBool() || value.isInt()) {
      shown.kind = value.isBool() ? TORCHLITE_VALUE_BOOL : TORCHLITE_VALUE_INT;
      shown.as.integer = value.isBool() ? value.toBool() : value.toInt();
    } else if (value.isDouble()) {
      shown.kind = TORCHLITE_VALUE_FLOAT;
      shown.as.real = value.toDouble();
    } else if (value.isString()) {
      shown.kind = TORCHLITE_VALUE_STRING;
      shown.as.text = at::detail::c_text(value.toStringRef());
    } else if (value.isList()) {
      show_group(shown, TORCHLITE_VALUE_LIST, value.toListRef());
    } else if (value.isTuple()) {
      show_group(shown, TORCHLITE_VALUE_TUPLE, value.toTupleRef().elements());
    } else if (value.isGenericDict()) {
      std::vector<IValue> items;
      std::vector<const char*> keys;
      for (const auto& entry : value.toGenericDict()) {
        keys.push_back(at::detail::c_text(entry.key().toStringRef()));
        items.push_back(entry.value());
      }
      show_group(shown, TORCHLITE_VALUE_DICT, items);
      keys_.push_back(std::move(keys));
      shown.as.group.keys = keys_.back().data();
    }
    return shown;
  }

  void show_group(torchlite_value& shown, torchlite_kind kind, c10::ArrayRef<IValue> items) {
    std::vector<torchlite_value> inner;
    for (const auto& item : items) {
      inner.push_back(show(item));
    }
    groups_.push_back(std::move(inner));
    shown.kind = kind;
    shown.as.group = {groups_.back().size(), groups_.back().data(), nullptr};
  }

  std::vector<torchlite_value> shown_;
  // Vectors keep their elements where they are when they are moved.
  std::vector<std::vector<torchlite_value>> groups_;
  std::vector<std::vector<const char*>> keys_;
};

// Tensors share the result that owns their elements.
inline IValue read(const torchlite_value& value, const std::shared_ptr<void>& result) {
  switch (value.kind) {
    case TORCHLITE_VALUE_TENSOR: {
      const torchlite_tensor& tensor = value.as.tensor;
      return at::Tensor(
          const_cast<void*>(tensor.data),
          std::vector<int64_t>(tensor.sizes, tensor.sizes + tensor.dims),
          static_cast<c10::ScalarType>(tensor.dtype),
          result);
    }
    case TORCHLITE_VALUE_BOOL:
      return value.as.integer != 0;
    case TORCHLITE_VALUE_INT:
      return value.as.integer;
    case TORCHLITE_VALUE_FLOAT:
      return value.as.real;
    case TORCHLITE_VALUE_STRING:
      return value.as.text;
    case TORCHLITE_VALUE_LIST:
    case TORCHLITE_VALUE_TUPLE: {
      std::vector<IValue> items;
      for (size_t i = 0; i < value.as.group.count; i++) {
        items.push_back(read(value.as.group.items[i], result));
      }
      if (value.kind == TORCHLITE_VALUE_LIST) {
        return c10::impl::GenericList(std::move(items));
      }
      return c10::ivalue::Tuple::create(std::move(items));
    }
    case TORCHLITE_VALUE_DICT: {
      if (value.as.group.keys == nullptr && value.as.group.count > 0) {
        throw c10::Error("the result has a dict whose keys are not strings");
      }
      c10::impl::GenericDict dict;
      for (size_t i = 0; i < value.as.group.count; i++) {
        dict.insert(value.as.group.keys[i], read(value.as.group.items[i], result));
      }
      return dict;
    }
    default:
      return IValue();
  }
}

} // namespace detail

namespace mobile {

class Module;

class Method {
 public:
  inline IValue operator()(std::vector<IValue> inputs) const;

  const std::string& name() const {
    return name_;
  }

 private:
  friend class Module;
  inline Method(const Module& module, std::string name);

  std::shared_ptr<void> held_;
  std::string name_;
};

// A loaded model; its copies are one model.
class Module {
 public:
  Module() = default;

  explicit Module(torchlite_module* module) : held_(std::make_shared<Held>(module)) {}

  IValue forward(std::vector<IValue> inputs) const {
    return call("forward", inputs);
  }

  Method get_method(const std::string& name) const {
    return Method(*this, name);
  }

  template <typename... Types>
  IValue run_method(const std::string& name, Types&&... inputs) const {
    return call(name, {IValue(std::forward<Types>(inputs))...});
  }

  // A model is exported for inference, and has no other mode.
  void eval() const {}

  // For functions of the C API that have no counterpart here.
  torchlite_module* get() const {
    return held().module;
  }

 private:
  friend class Method;

  struct Held {
    explicit Held(torchlite_module* given) : module(given) {}
    Held(const Held&) = delete;

    ~Held() {
      torchlite_module_free(module);
    }

    torchlite_module* const module;
    std::mutex mutex; // one call at a time
  };

  Held& held() const {
    if (held_ == nullptr) {
      throw c10::Error("no model is loaded");
    }
    return *held_;
  }

  IValue call(const std::string& name, const std::vector<IValue>& inputs) const {
    return call(held(), name, inputs);
  }

  static IValue call(Held& held, const std::string& name, const std::vector<IValue>& inputs) {
    const detail::Given given(inputs);
    torchlite_result* made = nullptr;
    {
      const std::lock_guard<std::mutex> lock(held.mutex);
      detail::check(torchlite_run_values(held.module, at::detail::c_text(name), given.data(), given.size(), &made));
    }
    const std::shared_ptr<void> result(
        made, [](void* one) { torchlite_result_free(static_cast<torchlite_result*>(one)); });
    torchlite_value value{};
    detail::check(torchlite_result_value(made, &value));
    return detail::read(value, result);
  }

  std::shared_ptr<Held> held_;
};

inline Method::Method(const Module& module, std::string name) : held_(module.held_), name_(std::move(name)) {
  module.held();
}

inline IValue Method::operator()(std::vector<IValue> inputs) const {
  return Module::call(*static_cast<Module::Held*>(held_.get()), name_, inputs);
}

} // namespace mobile

namespace detail {

inline std::string read_all(std::istream& stream) {
  if (stream.fail()) {
    throw c10::Error("the stream of a model cannot be read: was its file opened?");
  }
  if (!stream.seekg(0)) {
    stream.clear(); // it has no positions
  }
  return std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
}

inline mobile::Module load(const char* path, const std::string& content, ExtraFilesMap& extra) {
  std::vector<const char*> names;
  for (const auto& file : extra) {
    names.push_back(at::detail::c_text(file.first));
  }
  torchlite_module* loaded = nullptr;
  check(torchlite_load_with_files(path, content.data(), content.size(), names.data(), names.size(), &loaded));
  mobile::Module module(loaded);
  for (auto& file : extra) {
    const void* data = nullptr;
    size_t size = 0;
    check(torchlite_module_file(loaded, file.first.c_str(), &data, &size));
    if (size > 0) { // what the model does not have stays as it was
      file.second.assign(static_cast<const char*>(data), size);
    }
  }
  return module;
}

} // namespace detail

// Load a lite file (.ptl). `extra` names extra files in it, and takes what they hold. A stream is read from its start,
// wherever it stands.
inline mobile::Module _load_for_mobile(const std::string& path, c10::Device = c10::kCPU) {
  ExtraFilesMap none;
  return detail::load(at::detail::c_text(path), std::string(), none);
}

inline mobile::Module _load_for_mobile(const std::string& path, c10::Device, ExtraFilesMap& extra) {
  return detail::load(at::detail::c_text(path), std::string(), extra);
}

inline mobile::Module _load_for_mobile(std::istream& stream, c10::Device, ExtraFilesMap& extra) {
  return detail::load(nullptr, detail::read_all(stream), extra);
}

inline mobile::Module _load_for_mobile(std::istream& stream, c10::Device device = c10::kCPU) {
  ExtraFilesMap none;
  return _load_for_mobile(stream, device, none);
}

// As apps of the pod LibTorch call them. The file has to be a lite file here too.
namespace script {

using mobile::Module;

} // namespace script

using mobile::Module;

inline mobile::Module load(const std::string& path, c10::Device device = c10::kCPU) {
  return _load_for_mobile(path, device);
}

} // namespace jit
} // namespace torch

#endif
