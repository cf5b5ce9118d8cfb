// Builtins of TorchScript on numbers and bools, as torch/csrc/jit/runtime/register_prim_ops.cpp has them.

#include "builtins.h"

#include "../refusal.h"

#include <cmath>
#include <limits>

namespace torchlite {

namespace {

double to_real(const Value& number) {
  return number.is(Tag::Int) ? static_cast<double>(number.to_int()) : number.to_float();
}

// Integers wrap around, as those of C++ do on every target.
int64_t wrap(uint64_t bits) {
  return static_cast<int64_t>(bits);
}

// Two integers give what `on_ints` says, others what `on_reals` does.
template <class OnInts, class OnReals>
void binary(Stack& stack, OnInts on_ints, OnReals on_reals) {
  const Value right = pop(stack);
  Value& left = stack.back();
  if (left.is(Tag::Int) && right.is(Tag::Int)) {
    left = on_ints(left.to_int(), right.to_int());
  } else {
    left = on_reals(to_real(left), to_real(right));
  }
}

template <class Compare>
void compare(Stack& stack, Compare holds) {
  if (stack.back().is(Tag::String)) {
    const Value right = pop(stack);
    stack.back() = Value(static_cast<bool>(holds(stack.back().to_text().compare(right.to_text()), 0)));
    return;
  }
  const auto both = [&](auto a, auto b) { return static_cast<bool>(holds(a, b)); };
  binary(stack, both, both);
}

template <class Function>
void unary_real(Stack& stack, Function function) {
  stack.back() = static_cast<double>(function(to_real(stack.back())));
}

int64_t to_whole(double number) {
  constexpr double limit = 9223372036854775808.0; // 2^63, which no int holds
  if (!(number >= -limit && number <= limit)) {
    refuse({"Cannot convert float ", std::to_string(number), " to integer"});
  }
  return number == limit ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(number);
}

// What a processor makes of a float that no int holds differs; this is what those of x86 do.
int64_t truncate(double number) {
  constexpr double limit = 9223372036854775808.0;
  return number >= -limit && number < limit ? static_cast<int64_t>(number) : std::numeric_limits<int64_t>::min();
}

int64_t divide(int64_t a, int64_t b) {
  if (b == 0) {
    fail({"division by 0"});
  }
  if (b == -1) { // processors may trap at the lowest number
    return wrap(0 - static_cast<uint64_t>(a));
  }
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t modulo(int64_t a, int64_t b) {
  if (b == 0) {
    fail({"division by 0"});
  }
  const int64_t rest = b == -1 ? 0 : a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double round_to_even(double number) {
  return number - std::floor(number) == 0.5 ? std::round(number * 0.5) * 2.0 : std::round(number);
}

// Numbers and bools alone, not what is_equal() compares item by item.
bool are_equal_numbers(const Value& left, const Value& right) {
  return left.is(Tag::Int) && right.is(Tag::Int) ? left.to_int() == right.to_int() : to_real(left) == to_real(right);
}

} // namespace

TORCHLITE_OPERATOR(add_numbers, "aten::add.int", "aten::add.float", "aten::add.int_float", "aten::add.float_int", "aten::add") {
  binary(
      stack,
      [](int64_t a, int64_t b) { return wrap(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); },
      [](double a, double b) { return a + b; });
}

TORCHLITE_OPERATOR(subtract_numbers, "aten::sub.int", "aten::sub.float", "aten::sub.int_float", "aten::sub.float_int", "aten::sub") {
  binary(
      stack,
      [](int64_t a, int64_t b) { return wrap(static_cast<uint64_t>(a) - static_cast<uint64_t>(b)); },
      [](double a, double b) { return a - b; });
}

TORCHLITE_OPERATOR(multiply_numbers, "aten::mul.int", "aten::mul.float", "aten::mul.int_float", "aten::mul.float_int", "aten::mul") {
  binary(
      stack,
      [](int64_t a, int64_t b) { return wrap(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); },
      [](double a, double b) { return a * b; });
}

TORCHLITE_OPERATOR(divide_numbers, "aten::div.int", "aten::div.float", "aten::div") {
  binary(
      stack,
      [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); },
      [](double a, double b) { return a / b; });
}

TORCHLITE_OPERATOR(
    floor_divide_numbers,
    "aten::floordiv.int",
    "aten::floordiv.float",
    "aten::floordiv.int_float",
    "aten::floordiv.float_int",
    "aten::floordiv") {
  binary(stack, divide, [](double a, double b) { return std::floor(a / b); });
}

TORCHLITE_OPERATOR(
    remainder_of_numbers,
    "aten::remainder.int",
    "aten::remainder.float",
    "aten::remainder.int_float",
    "aten::remainder.float_int",
    "aten::remainder") {
  binary(stack, modulo, [](double a, double b) { return std::fmod(b + std::fmod(a, b), b); });
}

TORCHLITE_OPERATOR(
    power_of_numbers,
    "aten::pow.int",
    "aten::pow.float",
    "aten::pow.int_float",
    "aten::pow.float_int") {
  const double exponent = to_real(pop(stack));
  const double base = to_real(stack.back());
  if (base == 0.0 && exponent < 0.0) {
    refuse({"0.0 cannot be raised to a negative power"});
  }
  stack.back() = std::pow(base, exponent);
}

TORCHLITE_OPERATOR(least_number, "prim::min.int", "prim::min.float", "prim::min.int_float", "prim::min.float_int", "prim::min") {
  binary(
      stack, [](int64_t a, int64_t b) { return a < b ? a : b; }, [](double a, double b) { return a < b ? a : b; });
}

TORCHLITE_OPERATOR(greatest_number, "prim::max.int", "prim::max.float", "prim::max.int_float", "prim::max.float_int", "prim::max") {
  binary(
      stack, [](int64_t a, int64_t b) { return a > b ? a : b; }, [](double a, double b) { return a > b ? a : b; });
}

TORCHLITE_OPERATOR(
    is_less,
    "aten::lt.int",
    "aten::lt.float",
    "aten::lt.int_float",
    "aten::lt.float_int",
    "aten::lt.str",
    "aten::lt") {
  compare(stack, [](auto a, auto b) { return a < b; });
}

TORCHLITE_OPERATOR(
    is_greater,
    "aten::gt.int",
    "aten::gt.float",
    "aten::gt.int_float",
    "aten::gt.float_int",
    "aten::gt.str",
    "aten::gt") {
  compare(stack, [](auto a, auto b) { return a > b; });
}

TORCHLITE_OPERATOR(
    is_at_most,
    "aten::le.int",
    "aten::le.float",
    "aten::le.int_float",
    "aten::le.float_int",
    "aten::le.str",
    "aten::le") {
  compare(stack, [](auto a, auto b) { return a <= b; });
}

TORCHLITE_OPERATOR(
    is_at_least,
    "aten::ge.int",
    "aten::ge.float",
    "aten::ge.int_float",
    "aten::ge.float_int",
    "aten::ge.str",
    "aten::ge") {
  compare(stack, [](auto a, auto b) { return a >= b; });
}

TORCHLITE_OPERATOR(
    are_equal, "aten::eq.int", "aten::eq.float", "aten::eq.int_float", "aten::eq.float_int", "aten::eq") {
  const Value right = pop(stack);
  stack.back() = are_equal_numbers(stack.back(), right);
}

TORCHLITE_OPERATOR(
    are_unequal, "aten::ne.int", "aten::ne.float", "aten::ne.int_float", "aten::ne.float_int", "aten::ne") {
  const Value right = pop(stack);
  stack.back() = !are_equal_numbers(stack.back(), right);
}

TORCHLITE_OPERATOR(
    are_same,
    "aten::eq.bool",
    "aten::eq.str",
    "aten::eq.device",
    "aten::eq.int_list",
    "aten::eq.float_list",
    "aten::eq.bool_list",
    "aten::eq.str_list") {
  const Value right = pop(stack);
  stack.back() = is_equal(stack.back(), right);
}

TORCHLITE_OPERATOR(
    are_different,
    "aten::ne.bool",
    "aten::ne.str",
    "aten::ne.device",
    "aten::ne.int_list",
    "aten::ne.float_list",
    "aten::ne.bool_list",
    "aten::ne.str_list") {
  const Value right = pop(stack);
  stack.back() = !is_equal(stack.back(), right);
}

TORCHLITE_OPERATOR(both, "aten::__and__.bool") {
  const bool right = pop(stack).to_bool();
  stack.back() = stack.back().to_bool() && right;
}

TORCHLITE_OPERATOR(either, "aten::__or__.bool") {
  const bool right = pop(stack).to_bool();
  stack.back() = stack.back().to_bool() || right;
}

TORCHLITE_OPERATOR(one_alone, "aten::__xor__.bool") {
  const bool right = pop(stack).to_bool();
  stack.back() = stack.back().to_bool() != right;
}

TORCHLITE_OPERATOR(and_bits, "aten::__and__.int") {
  const int64_t right = pop(stack).to_int();
  stack.back() = stack.back().to_int() & right;
}

TORCHLITE_OPERATOR(or_bits, "aten::__or__.int") {
  const int64_t right = pop(stack).to_int();
  stack.back() = stack.back().to_int() | right;
}

TORCHLITE_OPERATOR(xor_bits, "aten::__xor__.int") {
  const int64_t right = pop(stack).to_int();
  stack.back() = stack.back().to_int() ^ right;
}

TORCHLITE_OPERATOR(negative, "aten::neg.int", "aten::neg.float", "aten::neg.Scalar") {
  Value& top = stack.back();
  if (top.is(Tag::Int)) {
    top = wrap(0 - static_cast<uint64_t>(top.to_int()));
  } else {
    top = -top.to_float();
  }
}

TORCHLITE_OPERATOR(magnitude, "prim::abs.int", "prim::abs.float", "prim::abs.Scalar") {
  Value& top = stack.back();
  if (top.is(Tag::Int)) {
    const int64_t number = top.to_int();
    top = number < 0 ? wrap(0 - static_cast<uint64_t>(number)) : number;
  } else {
    top = std::fabs(top.to_float());
  }
}

TORCHLITE_OPERATOR(floor_number, "aten::floor.int", "aten::floor.float", "aten::floor.Scalar") {
  stack.back() = stack.back().is(Tag::Int) ? stack.back().to_int() : to_whole(std::floor(stack.back().to_float()));
}

TORCHLITE_OPERATOR(ceil_number, "aten::ceil.int", "aten::ceil.float", "aten::ceil.Scalar") {
  stack.back() = stack.back().is(Tag::Int) ? stack.back().to_int() : to_whole(std::ceil(stack.back().to_float()));
}

TORCHLITE_OPERATOR(round_number, "aten::round.int", "aten::round.float", "aten::round.Scalar") {
  unary_real(stack, round_to_even);
}

TORCHLITE_OPERATOR(square_root, "aten::sqrt.int", "aten::sqrt.float", "aten::sqrt.Scalar") {
  unary_real(stack, [](double number) { return std::sqrt(number); });
}

TORCHLITE_OPERATOR(exponential, "aten::exp.int", "aten::exp.float", "aten::exp.Scalar") {
  unary_real(stack, [](double number) { return std::exp(number); });
}

TORCHLITE_OPERATOR(logarithm, "aten::log.int", "aten::log.float", "aten::log.Scalar") {
  unary_real(stack, [](double number) { return std::log(number); });
}

TORCHLITE_OPERATOR(sine, "aten::sin.int", "aten::sin.float", "aten::sin.Scalar") {
  unary_real(stack, [](double number) { return std::sin(number); });
}

TORCHLITE_OPERATOR(cosine, "aten::cos.int", "aten::cos.float", "aten::cos.Scalar") {
  unary_real(stack, [](double number) { return std::cos(number); });
}

TORCHLITE_OPERATOR(number_to_bool, "aten::Bool.int", "aten::Bool.float") {
  stack.back() = to_real(stack.back()) != 0;
}

TORCHLITE_OPERATOR(to_int, "aten::Int.bool", "aten::Int.float", "aten::Int.Scalar") {
  Value& top = stack.back();
  if (top.is(Tag::Bool)) {
    top = static_cast<int64_t>(top.to_bool() ? 1 : 0);
  } else if (!top.is(Tag::Int)) {
    top = truncate(top.to_float());
  }
}

// Through a float of 32 bits, as PyTorch does it, except for Scalar.
TORCHLITE_OPERATOR(int_to_float, "aten::Float.int", "aten::Float.bool") {
  Value& top = stack.back();
  top = static_cast<double>(top.is(Tag::Bool) ? (top.to_bool() ? 1.0F : 0.0F) : static_cast<float>(top.to_int()));
}

TORCHLITE_OPERATOR(scalar_to_float, "aten::Float.Scalar") {
  stack.back() = to_real(stack.back());
}

TORCHLITE_OPERATOR(leave_as_it_is, "prim::unchecked_unwrap_optional") {}

TORCHLITE_OPERATOR(unwrap_optional, "aten::_unwrap_optional") {
  if (stack.back().is_none()) {
    refuse({"Unwrapping null optional"});
  }
}

TORCHLITE_OPERATOR(is_scripting, "aten::is_scripting") {
  stack.emplace_back(true);
}

// Of a loop over a range: how many steps it has, and what its variable is in one.
TORCHLITE_OPERATOR(length_of_range, "aten::__range_length") {
  const int64_t step = pop(stack).to_int();
  const int64_t end = pop(stack).to_int();
  const int64_t start = stack.back().to_int();
  if (step == 0) {
    fail({"range() arg 3 must not be zero"});
  }
  const auto distance = [](int64_t from, int64_t to) { return static_cast<uint64_t>(to) - static_cast<uint64_t>(from); };
  uint64_t count = 0;
  if (step > 0 && start < end) {
    count = 1 + (distance(start, end) - 1) / static_cast<uint64_t>(step);
  } else if (step < 0 && start > end) {
    count = 1 + (distance(end, start) - 1) / (0 - static_cast<uint64_t>(step));
  }
  stack.back() = wrap(count);
}

TORCHLITE_OPERATOR(index_in_range, "aten::__derive_index") {
  const auto step = static_cast<uint64_t>(pop(stack).to_int());
  const auto start = static_cast<uint64_t>(pop(stack).to_int());
  stack.back() = wrap(start + static_cast<uint64_t>(stack.back().to_int()) * step);
}

} // namespace torchlite
