// Operators that instructions of the interpreter are as well.

#pragma once

#include "table.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace torchlite {

void tuple_index(Stack& stack);
void raise_exception(Stack& stack);
void is(Stack& stack);
void is_not(Stack& stack);
void uninitialized(Stack& stack);
void device_of(Stack& stack);
void dtype_of(Stack& stack);
void dim_of(Stack& stack);
void negate(Stack& stack);
void dict_index(Stack& stack);
void to_nested_list(Stack& stack);
void number_to_tensor(Stack& stack);
void is_cuda(Stack& stack);

// Takes a text with {} in it and `count` - 1 values for these.
void format_values(Stack& stack, size_t count);

// A value as text: as Python's str() has it, strings in other values without quotes.
std::string to_string(const Value& value);

// A tensor of one number, without dimensions.
at::Tensor to_tensor(const c10::Scalar& number);

// An index from the end becomes one from the start; it may still lead outside.
inline int64_t to_index(int64_t index, size_t size) {
  return index < 0 ? index + static_cast<int64_t>(size) : index;
}

// Throws the error of an operator, c10::Error, where PyTorch does so: who called is told with it what the method takes.
[[noreturn]] void refuse(std::initializer_list<std::string_view> parts);

// The top of the stack, taken from it.
Value pop(Stack& stack);

} // namespace torchlite
