// What the generated table of one build says of its operators: which there are, and how each is called.

#pragma once

#include "value.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace torchlite {

// What an argument is when a model leaves it out.
struct Default {
  enum Kind : uint8_t { Missing, None, Int, Float, Bool, Text, Integers };
  Kind kind;
  uint8_t count; // of integers, a byte each from the lowest on
  union {
    int64_t integer;
    double real;
    const char* text;
  };

  constexpr Default(Kind kind) : kind(kind), count(0), integer(0) {}
  constexpr Default(int64_t value) : kind(Int), count(0), integer(value) {}
  constexpr Default(double value) : kind(Float), count(0), real(value) {}
  constexpr Default(bool value) : kind(Bool), count(0), integer(value) {}
  constexpr Default(const char* value) : kind(Text), count(0), text(value) {}
  constexpr Default(uint8_t count, unsigned long long bytes)
      : kind(Integers), count(count), integer(static_cast<int64_t>(bytes)) {}

  Value make() const;
};

struct Operator {
  const char* name; // as models name it: "aten::add.Tensor"
  void (*call)(Stack& stack);
  const Default* defaults; // of the last arguments, without the outputs
  uint8_t arguments; // of its schema; all that it takes from the stack
  int8_t results; // -1: only run time knows
  uint8_t optional; // how many defaults there are
  uint8_t outputs; // tensors to write to, which come last
  bool variadic; // called with any number of arguments, which it finds on top of the stack
  bool as_given; // takes what is on the stack, whatever the file says
  uint8_t since; // version of files that were written for it as it is now; older ones need an upgrader
};

// Sorted by name.
extern const Operator operators[];
extern const size_t operator_count;

// A custom class: how one of its objects is made of what a file says.
struct CustomClass {
  const char* name; // "__torch__.torch.classes.xnnpack.Conv2dOpContext"
  c10::intrusive_ptr<c10::intrusive_ptr_target> (*restore)(Value state);
};

extern const CustomClass custom_classes[];
extern const size_t custom_class_count;

// Prints a tensor with its numbers, in a runtime with an operator that prints; null in all others.
extern std::string (*const tensor_printer)(const at::Tensor&);

// Null when the runtime has none of this name.
const Operator* find_operator(std::string_view name);
const CustomClass* find_custom_class(std::string_view name);

} // namespace torchlite

// An operator whose code stands here. builder finds it by these words, and puts it into the tables of builds that
// need it, with the arguments and results that PyTorch says it has. Several names may have one function.
#define TORCHLITE_OPERATOR(function, ...) void function(::torchlite::Stack& stack)

// One that PyTorch registers without a schema, or whose schema does not say what it leaves: with what it takes from the
// stack and leaves there, -1 where only run time knows.
#define TORCHLITE_PROMOTED(function, name, taken, left) void function(::torchlite::Stack& stack)

// An operator whose code stands here in runtimes with kernels for few dtypes; in all others it is PyTorch's.
#define TORCHLITE_PLAIN(function, ...) void function(::torchlite::Stack& stack)

// A class of C++ objects that models hold.
#define TORCHLITE_CLASS(function, name) \
  c10::intrusive_ptr<c10::intrusive_ptr_target> function(::torchlite::Value state)
