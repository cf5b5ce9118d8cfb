// A function of a model, whichever format it came in, and the check of it.

#pragma once

#include "fault.h"

#include <torch/csrc/jit/runtime/instruction.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace torchlite::verifier {

struct OperatorUse {
  std::string name;
  std::string overload;
  int arguments; // negative when the file does not say
};

struct Code {
  std::vector<torch::jit::Instruction> instructions;
  std::vector<OperatorUse> operators;
  std::vector<std::string_view> types;
  std::string constants; // an 's' for each that is a string, a '-' for each other
  int64_t registers = 0;
  int arguments = -1; // with self; negative when the file has no schema
};

// Operators that a model needs and this runtime lacks, of all functions: ", aten::add.Tensor, aten::mul".
using Missing = std::string;

// Refuses a model that needs any.
void refuse_missing(const Missing& missing);

// Refuses what the interpreter (torch/csrc/jit/mobile/interpreter.cpp) would take for granted: indexes,
// jump targets, counts, types of what is constructed, and the depth of the stack where it is known.
void check_code(const Code& code, Missing& missing, Budget& budget);

} // namespace torchlite::verifier
