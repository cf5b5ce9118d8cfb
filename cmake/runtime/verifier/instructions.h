// What instructions of the lite interpreter take from its stack and leave on it.
//
// The verifier follows a function with it when a model is loaded; the interpreter asks it again where
// only run time knows the depth (after prim::TupleUnpack, whose results no file counts).

#pragma once

#include <ATen/core/operator_name.h>
#ifndef TORCHLITE_OWN_CORE
#include <torch/csrc/jit/mobile/code.h>
#endif
#include <torch/csrc/jit/runtime/instruction.h>

#include <cstdint>

namespace torchlite {

// Values of the stack. `pushes` is `unknown` where only run time knows it.
struct StackEffect {
  static constexpr int unknown = -1;
  int pops;
  int pushes;
};

// Of a call of an operator.
struct Arity {
  StackEffect effect;
  bool known; // whether the runtime has the operator
  bool variadic; // called by OPN, with the number of its arguments; pops is then the least number
};

// `specified`: how many arguments the file says that it gives, or a negative number.
Arity find_arity(const c10::OperatorName& name, int specified);

// Of an instruction, operators' being told by `arity`.
StackEffect find_effect(torch::jit::Instruction instruction, const Arity& arity);

} // namespace torchlite
