// torchlite.hpp: the C API of torchlite.h for C++14 and newer. A header alone: there is nothing to link but the runtime.
//
//   torchlite::Module module("mobilenet_v2.ptl");
//   std::vector<float> image(3 * 224 * 224);
//   torchlite::Result scores = module.forward({torchlite::tensor(image, {1, 3, 224, 224})});
//   float first = scores[0].data<float>()[0];
//
// Functions that fail throw torchlite::Error, with the runtime's words. Objects free what they own; they are moved, not
// copied. Threads: as in torchlite.h, one module serves one thread at a time.

#ifndef TORCHLITE_HPP
#define TORCHLITE_HPP

#if defined(__has_include)
#if __has_include(<LibTorchLite/torchlite.h>)
#include <LibTorchLite/torchlite.h> // in an xcframework
#else
#include "torchlite.h"
#endif
#else
#include "torchlite.h"
#endif

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace torchlite {

class Error : public std::runtime_error {
 public:
  Error(torchlite_status status, const std::string& text) : std::runtime_error(text), status_(status) {}

  torchlite_status status() const noexcept {
    return status_;
  }

 private:
  torchlite_status status_;
};

namespace detail {

inline void check(torchlite_status status) {
  if (status != TORCHLITE_OK) {
    throw Error(status, torchlite_error());
  }
}

// As C takes it; throws Error for a text with a NUL character, behind which C would not read on.
inline const char* c_text(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw Error(TORCHLITE_INVALID_ARGUMENT, "a text, a name or a path has a NUL character");
  }
  return text.c_str();
}

template <typename T>
struct DTypeOf;

template <torchlite_dtype Code>
struct DTypeCode {
  static constexpr torchlite_dtype value = Code;
};

template <> struct DTypeOf<std::uint8_t> : DTypeCode<TORCHLITE_UINT8> {};
template <> struct DTypeOf<std::int8_t> : DTypeCode<TORCHLITE_INT8> {};
template <> struct DTypeOf<std::int16_t> : DTypeCode<TORCHLITE_INT16> {};
template <> struct DTypeOf<std::int32_t> : DTypeCode<TORCHLITE_INT32> {};
template <> struct DTypeOf<std::int64_t> : DTypeCode<TORCHLITE_INT64> {};
template <> struct DTypeOf<float> : DTypeCode<TORCHLITE_FLOAT32> {};
template <> struct DTypeOf<double> : DTypeCode<TORCHLITE_FLOAT64> {};
template <> struct DTypeOf<bool> : DTypeCode<TORCHLITE_BOOL> {};

} // namespace detail

// The number of elements of a tensor with these sizes; throws Error where it does not fit into a size_t, or one is negative.
inline std::size_t count_elements(const std::int64_t* sizes, std::size_t dims) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < dims; i++) {
    if (sizes[i] < 0 || (sizes[i] > 0 && count > SIZE_MAX / static_cast<std::size_t>(sizes[i]))) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, "the sizes of a tensor are negative, or too large");
    }
    count *= static_cast<std::size_t>(sizes[i]);
  }
  return count;
}

// An input of a method. A tensor refers to its elements, which have to live until the call ends; all else is copied.
class Value {
 public:
  Value() = default; // None
  Value(bool value) : kind_(TORCHLITE_VALUE_BOOL), integer_(value ? 1 : 0) {}
  template <typename T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0>
  Value(T value) : kind_(TORCHLITE_VALUE_INT), integer_(static_cast<std::int64_t>(value)) {}
  Value(double value) : kind_(TORCHLITE_VALUE_FLOAT), real_(value) {}
  Value(std::string value) : kind_(TORCHLITE_VALUE_STRING), text_(std::move(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(const void* value) = delete; // it would be a bool; tensor() makes a tensor of elements
  Value(torchlite_dtype dtype, std::vector<std::int64_t> sizes, const void* data)
      : kind_(TORCHLITE_VALUE_TENSOR), dtype_(dtype), sizes_(std::move(sizes)), data_(data) {}

  static Value list(std::vector<Value> items) {
    return Value(TORCHLITE_VALUE_LIST, std::move(items));
  }

  static Value tuple(std::vector<Value> items) {
    return Value(TORCHLITE_VALUE_TUPLE, std::move(items));
  }

  static Value dict(std::vector<std::pair<std::string, Value>> entries) {
    Value made(TORCHLITE_VALUE_DICT, {});
    for (auto& entry : entries) {
      made.keys_.push_back(std::move(entry.first));
      made.items_.push_back(std::move(entry.second));
    }
    return made;
  }

  // A tensor whose data has the channels of each element side by side (NHWC); its sizes are in PyTorch's order (NCHW).
  Value channels_last() && {
    if (kind_ != TORCHLITE_VALUE_TENSOR) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, "only a tensor has its channels last");
    }
    kind_ = TORCHLITE_VALUE_CHANNELS_LAST;
    return std::move(*this);
  }

 private:
  friend class Arguments;

  Value(torchlite_kind kind, std::vector<Value> items) : kind_(kind), items_(std::move(items)) {}

  torchlite_kind kind_ = TORCHLITE_VALUE_NONE;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string text_;
  torchlite_dtype dtype_ = TORCHLITE_FLOAT32;
  std::vector<std::int64_t> sizes_;
  const void* data_ = nullptr;
  std::vector<Value> items_;
  std::vector<std::string> keys_;
};

// What the C API takes for some values. It refers to them, so they must neither change nor go while it is used.
class Arguments {
 public:
  explicit Arguments(const std::vector<Value>& values) : shown_(show(values)) {}
  Arguments(const Arguments&) = delete;

  const torchlite_value* data() const noexcept {
    return shown_.data();
  }

  std::size_t size() const noexcept {
    return shown_.size();
  }

 private:
  std::vector<torchlite_value> show(const std::vector<Value>& values) {
    std::vector<torchlite_value> shown;
    for (const auto& value : values) {
      shown.push_back(show(value));
    }
    return shown;
  }

  torchlite_value show(const Value& value) {
    torchlite_value shown{};
    shown.kind = value.kind_;
    switch (value.kind_) {
      case TORCHLITE_VALUE_TENSOR:
      case TORCHLITE_VALUE_CHANNELS_LAST:
        shown.as.tensor = {
            value.dtype_, static_cast<std::int32_t>(value.sizes_.size()), value.sizes_.data(), value.data_};
        break;
      case TORCHLITE_VALUE_BOOL:
      case TORCHLITE_VALUE_INT:
        shown.as.integer = value.integer_;
        break;
      case TORCHLITE_VALUE_FLOAT:
        shown.as.real = value.real_;
        break;
      case TORCHLITE_VALUE_STRING:
        shown.as.text = detail::c_text(value.text_);
        break;
      case TORCHLITE_VALUE_LIST:
      case TORCHLITE_VALUE_TUPLE:
      case TORCHLITE_VALUE_DICT: {
        std::vector<const char*> keys;
        for (const auto& key : value.keys_) {
          keys.push_back(detail::c_text(key));
        }
        keys_.push_back(std::move(keys));
        shown.as.group.keys = keys_.back().data();
        groups_.push_back(show(value.items_));
        shown.as.group.count = groups_.back().size();
        shown.as.group.items = groups_.back().data();
        break;
      }
      default:
        break;
    }
    return shown;
  }

  // Vectors keep their elements where they are when they are moved.
  std::vector<std::vector<torchlite_value>> groups_;
  std::vector<std::vector<const char*>> keys_;
  std::vector<torchlite_value> shown_;
};

// A tensor over elements of the caller.
template <typename T>
Value tensor(const T* data, std::vector<std::int64_t> sizes) {
  return Value(detail::DTypeOf<T>::value, std::move(sizes), data);
}

// The same; throws Error where the vector has another number of elements.
template <typename T>
Value tensor(const std::vector<T>& data, std::vector<std::int64_t> sizes) {
  if (count_elements(sizes.data(), sizes.size()) != data.size()) {
    throw Error(TORCHLITE_INVALID_ARGUMENT, "a tensor has another number of elements than its sizes say");
  }
  return tensor(data.data(), std::move(sizes));
}

// A tensor of a result, which owns its elements and must outlive it.
class Tensor {
 public:
  explicit Tensor(const torchlite_tensor& tensor) : tensor_(tensor) {}

  torchlite_dtype dtype() const {
    return tensor_.dtype;
  }

  std::vector<std::int64_t> sizes() const {
    return {tensor_.sizes, tensor_.sizes + tensor_.dims};
  }

  std::size_t count() const {
    return count_elements(tensor_.sizes, static_cast<std::size_t>(tensor_.dims));
  }

  const void* data() const {
    return tensor_.data;
  }

  // The elements; throws Error where they are of another type.
  template <typename T>
  const T* data() const {
    if (detail::DTypeOf<T>::value != tensor_.dtype) {
      throw Error(
          TORCHLITE_INVALID_ARGUMENT,
          "a tensor has elements of dtype " + std::to_string(tensor_.dtype) + ", " +
              std::to_string(detail::DTypeOf<T>::value) + " were asked for (enum torchlite_dtype)");
    }
    return static_cast<const T*>(tensor_.data);
  }

  template <typename T>
  std::vector<T> to_vector() const {
    const T* first = data<T>();
    return std::vector<T>(first, first + count());
  }

 private:
  torchlite_tensor tensor_;
};

// A part of a result, which owns it and must outlive it.
class View {
 public:
  explicit View(const torchlite_value& value) : value_(value) {}

  torchlite_kind kind() const {
    return value_.kind;
  }

  bool is_none() const {
    return value_.kind == TORCHLITE_VALUE_NONE;
  }

  Tensor tensor() const {
    expect(TORCHLITE_VALUE_TENSOR, "a tensor");
    return Tensor(value_.as.tensor);
  }

  bool boolean() const {
    expect(TORCHLITE_VALUE_BOOL, "a bool");
    return value_.as.integer != 0;
  }

  std::int64_t integer() const {
    expect(TORCHLITE_VALUE_INT, "an int");
    return value_.as.integer;
  }

  double real() const {
    expect(TORCHLITE_VALUE_FLOAT, "a float");
    return value_.as.real;
  }

  std::string text() const {
    expect(TORCHLITE_VALUE_STRING, "a string");
    return value_.as.text;
  }

  // Items of a list, a tuple or a dict.
  std::size_t size() const {
    expect_group();
    return value_.as.group.count;
  }

  View operator[](std::size_t index) const {
    if (index >= size()) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, "a value has no item " + std::to_string(index));
    }
    return View(value_.as.group.items[index]);
  }

  std::string key(std::size_t index) const {
    expect_keys();
    if (index >= size()) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, "a value has no item " + std::to_string(index));
    }
    return value_.as.group.keys[index];
  }

  // The item of a dict.
  View at(const std::string& key) const {
    expect_keys();
    for (std::size_t i = 0; i < size(); i++) {
      if (key == value_.as.group.keys[i]) {
        return (*this)[i];
      }
    }
    throw Error(TORCHLITE_INVALID_ARGUMENT, "a dict has no key '" + key + "'");
  }

 private:
  void expect(torchlite_kind kind, const char* what) const {
    if (value_.kind != kind) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, std::string("a value is not ") + what);
    }
  }

  void expect_group() const {
    if (value_.kind != TORCHLITE_VALUE_LIST && value_.kind != TORCHLITE_VALUE_TUPLE &&
        value_.kind != TORCHLITE_VALUE_DICT) {
      throw Error(TORCHLITE_INVALID_ARGUMENT, "a value is not a list, a tuple or a dict");
    }
  }

  void expect_keys() const {
    expect(TORCHLITE_VALUE_DICT, "a dict");
    if (value_.as.group.keys == nullptr && value_.as.group.count > 0) {
      throw Error(TORCHLITE_UNSUPPORTED_OUTPUT, "the keys of a dict are not strings");
    }
  }

  torchlite_value value_;
};

// What a method returned.
class Result {
 public:
  explicit Result(torchlite_result* result) : result_(result) {}

  // The number of tensors, flattened.
  std::size_t size() const {
    return torchlite_result_count(result_.get());
  }

  Tensor operator[](std::size_t index) const {
    torchlite_tensor tensor{};
    detail::check(torchlite_result_tensor(result_.get(), index, &tensor));
    return Tensor(tensor);
  }

  // The result as it is, with its structure.
  View value() const {
    torchlite_value value{};
    detail::check(torchlite_result_value(result_.get(), &value));
    return View(value);
  }

 private:
  struct Free {
    void operator()(torchlite_result* result) const noexcept {
      torchlite_result_free(result);
    }
  };

  std::unique_ptr<torchlite_result, Free> result_;
};

// A loaded model.
class Module {
 public:
  // `files`: names of extra files in the model, for file().
  explicit Module(const std::string& path, const std::vector<std::string>& files = {})
      : Module(detail::c_text(path), nullptr, 0, files) {}

  // The same; without it, `{}` behind a text would be the size of memory.
  Module(const char* path, std::initializer_list<std::string> files) : Module(path, nullptr, 0, files) {}

  // From memory, which may go afterwards.
  Module(const void* data, std::size_t size, const std::vector<std::string>& files = {})
      : Module(nullptr, data, size, files) {}

  Result forward(const std::vector<Value>& inputs) {
    return run("forward", inputs);
  }

  Result run(const std::string& method, const std::vector<Value>& inputs) {
    const Arguments shown(inputs);
    torchlite_result* result = nullptr;
    detail::check(
        torchlite_run_values(module_.get(), detail::c_text(method), shown.data(), shown.size(), &result));
    return Result(result);
  }

  // The methods that can be called; what they point to lives as long as the module.
  std::vector<torchlite_method> methods() {
    const torchlite_method* first = nullptr;
    std::size_t count = 0;
    detail::check(torchlite_module_methods(module_.get(), &first, &count));
    return std::vector<torchlite_method>(first, first + count);
  }

  // What an extra file that the module was loaded with holds; empty where the model has none of this name.
  std::string file(const std::string& name) const {
    const void* data = nullptr;
    std::size_t size = 0;
    detail::check(torchlite_module_file(module_.get(), detail::c_text(name), &data, &size));
    return std::string(static_cast<const char*>(data), size);
  }

  // For functions of the C API that have no counterpart here.
  torchlite_module* get() const noexcept {
    return module_.get();
  }

 private:
  struct Free {
    void operator()(torchlite_module* module) const noexcept {
      torchlite_module_free(module);
    }
  };

  Module(const char* path, const void* data, std::size_t size, const std::vector<std::string>& files) {
    std::vector<const char*> names;
    for (const auto& file : files) {
      names.push_back(detail::c_text(file));
    }
    torchlite_module* module = nullptr;
    detail::check(torchlite_load_with_files(path, data, size, names.data(), names.size(), &module));
    module_.reset(module);
  }

  std::unique_ptr<torchlite_module, Free> module_;
};

// The operators that the runtime has, sorted.
inline std::vector<std::string> operators() {
  std::size_t count = 0;
  const char* const* first = torchlite_operators(&count);
  return std::vector<std::string>(first, first + count);
}

// Where models can run: "cpu", and "vulkan" or "metal".
inline std::vector<std::string> devices() {
  std::size_t count = 0;
  const char* const* first = torchlite_devices(&count);
  return std::vector<std::string>(first, first + count);
}

inline void set_threads(int threads) {
  detail::check(torchlite_set_threads(threads));
}

inline void set_step_limit(std::uint64_t steps) {
  detail::check(torchlite_set_step_limit(steps));
}

inline void set_seed(std::uint64_t seed) {
  detail::check(torchlite_set_seed(seed));
}

} // namespace torchlite

#endif
