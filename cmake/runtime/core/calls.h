// How the kernels of PyTorch are called with values: each by a function that is made for its signature.

#pragma once

#include "value.h"

#include <ATen/core/Generator.h>
#include <ATen/core/IListRef.h>
#include <ATen/core/List.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymIntArrayRef.h>
#include <c10/util/OptionalArrayRef.h>
#include <c10/util/SmallVector.h>

#include <array>
#include <optional>
#include <string_view>
#include <tuple>

namespace torchlite {

// Of lists of a value that has to be one.
using Integers = c10::SmallVector<int64_t, 6>;
Integers to_integers(const Value& value);
std::vector<double> to_reals(const Value& value);
std::vector<at::Tensor> to_tensors(const Value& value);
c10::List<std::optional<at::Tensor>> to_optional_tensors(const Value& value);
std::vector<c10::Scalar> to_scalars(const Value& value);
Value from_tensors(std::vector<at::Tensor> tensors);
Value from_integers(at::IntArrayRef numbers);
int64_t to_enum(const Value& value, int64_t count);

// What holds one argument while a kernel runs.
template <class T>
struct Argument;

#define TORCHLITE_ARGUMENT(type, held_type, read)    \
  template <>                                        \
  struct Argument<type> {                            \
    held_type held;                                  \
    explicit Argument(Value& value) : held(read) {}  \
    operator type() {                                \
      return held;                                   \
    }                                                \
  };

TORCHLITE_ARGUMENT(const at::Tensor&, at::Tensor, std::move(value).to_tensor())
TORCHLITE_ARGUMENT(at::Tensor&, at::Tensor, std::move(value).to_tensor())
TORCHLITE_ARGUMENT(at::Tensor, at::Tensor, std::move(value).to_tensor())
TORCHLITE_ARGUMENT(const at::Scalar&, at::Scalar, value.to_scalar())
TORCHLITE_ARGUMENT(at::Scalar, at::Scalar, value.to_scalar())
TORCHLITE_ARGUMENT(int64_t, int64_t, value.to_int())
TORCHLITE_ARGUMENT(double, double, value.to_float())
TORCHLITE_ARGUMENT(bool, bool, value.to_bool())
TORCHLITE_ARGUMENT(std::string_view, std::string, value.to_text())
TORCHLITE_ARGUMENT(at::IntArrayRef, Integers, to_integers(value))
TORCHLITE_ARGUMENT(at::ArrayRef<double>, std::vector<double>, to_reals(value))
TORCHLITE_ARGUMENT(at::ArrayRef<at::Scalar>, std::vector<at::Scalar>, to_scalars(value))
TORCHLITE_ARGUMENT(at::TensorList, std::vector<at::Tensor>, to_tensors(value))
TORCHLITE_ARGUMENT(
    const c10::List<std::optional<at::Tensor>>&,
    c10::List<std::optional<at::Tensor>>,
    to_optional_tensors(value))
TORCHLITE_ARGUMENT(at::Device, at::Device, value.to_device())
TORCHLITE_ARGUMENT(
    at::ScalarType,
    at::ScalarType,
    static_cast<at::ScalarType>(to_enum(value, static_cast<int64_t>(at::ScalarType::NumOptions))))
TORCHLITE_ARGUMENT(
    at::Layout,
    at::Layout,
    static_cast<at::Layout>(to_enum(value, static_cast<int64_t>(at::Layout::NumOptions))))
TORCHLITE_ARGUMENT(
    at::MemoryFormat,
    at::MemoryFormat,
    static_cast<at::MemoryFormat>(to_enum(value, static_cast<int64_t>(at::MemoryFormat::NumOptions))))
#undef TORCHLITE_ARGUMENT

template <>
struct Argument<c10::SymInt> {
  int64_t held;
  explicit Argument(Value& value) : held(value.to_int()) {}
  operator c10::SymInt() {
    return c10::SymInt(held);
  }
};

template <>
struct Argument<c10::SymIntArrayRef> {
  Integers held;
  explicit Argument(Value& value) : held(to_integers(value)) {}
  operator c10::SymIntArrayRef() {
    return c10::fromIntArrayRefSlow(held);
  }
};

template <>
struct Argument<const at::ITensorListRef&> {
  std::vector<at::Tensor> held;
  at::ITensorListRef list;
  explicit Argument(Value& value) : held(to_tensors(value)), list(at::TensorList(held)) {}
  operator const at::ITensorListRef&() {
    return list;
  }
};

template <size_t N>
struct Argument<std::array<bool, N>> {
  std::array<bool, N> held{};
  explicit Argument(Value& value) {
    const auto& items = value.to_list().items;
    if (items.size() != N) {
      refuse_value(value, "a list of another length");
    }
    for (size_t i = 0; i < N; i++) {
      held[i] = items[i].to_bool();
    }
  }
  operator std::array<bool, N>() {
    return held;
  }
};

template <class T>
struct Argument<std::optional<T>> {
  std::optional<Argument<T>> held;
  explicit Argument(Value& value) {
    if (!value.is_none()) {
      held.emplace(value);
    }
  }
  operator std::optional<T>() {
    return held ? std::optional<T>(static_cast<T>(*held)) : std::nullopt;
  }
};

// Generators are no values: a model's calls draw from the one of the process.
template <>
struct Argument<std::optional<at::Generator>> {
  explicit Argument(Value& value) {
    if (!value.is_none()) {
      refuse_value(value, "None in place of a generator");
    }
  }
  operator std::optional<at::Generator>() {
    return std::nullopt;
  }
};

template <>
struct Argument<const std::optional<at::Tensor>&> {
  std::optional<at::Tensor> held;
  explicit Argument(Value& value) {
    if (!value.is_none()) {
      held = std::move(value).to_tensor();
    }
  }
  operator const std::optional<at::Tensor>&() {
    return held;
  }
};

template <>
struct Argument<const std::optional<at::Scalar>&> {
  std::optional<at::Scalar> held;
  explicit Argument(Value& value) {
    if (!value.is_none()) {
      held = value.to_scalar();
    }
  }
  operator const std::optional<at::Scalar>&() {
    return held;
  }
};

template <class Array>
struct OptionalIntegers {
  std::optional<Integers> held;
  explicit OptionalIntegers(Value& value) {
    if (!value.is_none()) {
      held = to_integers(value);
    }
  }
};

template <>
struct Argument<at::OptionalIntArrayRef> : OptionalIntegers<at::IntArrayRef> {
  using OptionalIntegers::OptionalIntegers;
  operator at::OptionalIntArrayRef() {
    return held ? at::OptionalIntArrayRef(*held) : at::OptionalIntArrayRef();
  }
};

template <>
struct Argument<at::OptionalSymIntArrayRef> : OptionalIntegers<c10::SymIntArrayRef> {
  using OptionalIntegers::OptionalIntegers;
  operator at::OptionalSymIntArrayRef() {
    return held ? at::OptionalSymIntArrayRef(c10::fromIntArrayRefSlow(*held)) : at::OptionalSymIntArrayRef();
  }
};

// Results.
inline void push_result(Stack& stack, at::Tensor&& tensor) {
  stack.emplace_back(std::move(tensor));
}
inline void push_result(Stack& stack, const at::Tensor& tensor) {
  stack.emplace_back(tensor);
}
inline void push_result(Stack& stack, std::vector<at::Tensor>&& tensors) {
  stack.push_back(from_tensors(std::move(tensors)));
}
inline void push_result(Stack& stack, int64_t number) {
  stack.emplace_back(number);
}
inline void push_result(Stack& stack, const c10::SymInt& number) {
  stack.emplace_back(number.guard_int(__FILE__, __LINE__));
}
inline void push_result(Stack& stack, double number) {
  stack.emplace_back(number);
}
inline void push_result(Stack& stack, bool truth) {
  stack.emplace_back(truth);
}
inline void push_result(Stack& stack, const at::Scalar& number) {
  stack.emplace_back(number);
}
inline void push_result(Stack& stack, at::ScalarType dtype) {
  stack.emplace_back(static_cast<int64_t>(dtype));
}
inline void push_result(Stack& stack, at::QScheme scheme) {
  stack.emplace_back(static_cast<int64_t>(scheme));
}
template <class... T>
void push_result(Stack& stack, std::tuple<T...>&& results) {
  std::apply([&](auto&&... result) { (push_result(stack, std::forward<T>(result)), ...); }, std::move(results));
}

// What a call gives, for itself: a kernel may return a reference to an argument, which ends with the call.
template <class Result>
struct Owned {
  using type = std::decay_t<Result>;
};

template <class... Results>
struct Owned<std::tuple<Results...>> {
  using type = std::tuple<std::decay_t<Results>...>;
};

template <class Function>
struct Caller;

template <class Result, class... Arguments>
struct Caller<Result(Arguments...)> {
  static constexpr size_t count = sizeof...(Arguments);

  template <size_t... At>
  static typename Owned<Result>::type call(
      Result (*kernel)(Arguments...), Value* values, std::index_sequence<At...>) {
    [[maybe_unused]] std::tuple<Argument<Arguments>...> held{Argument<Arguments>(values[At])...};
    return kernel(static_cast<Arguments>(std::get<At>(held))...);
  }

  // Takes the arguments from the stack and leaves the results there.
  static void call(Result (*kernel)(Arguments...), Stack& stack) {
    Value* values = stack.data() + stack.size() - count;
    const auto drop = [&] { stack.resize(stack.size() - count); };
    if constexpr (std::is_void_v<Result>) {
      call(kernel, values, std::index_sequence_for<Arguments...>());
      drop();
    } else {
      typename Owned<Result>::type result = call(kernel, values, std::index_sequence_for<Arguments...>());
      drop();
      push_result(stack, std::move(result));
    }
  }
};

template <class Result, class... Arguments>
void call(Result (*kernel)(Arguments...), Stack& stack) {
  Caller<Result(Arguments...)>::call(kernel, stack);
}

} // namespace torchlite
