// What the lite interpreter asks before it takes an instruction: the checks that only run time can make.
// The patch 0019-checked-interpreter calls this.

#pragma once

#include <torch/csrc/jit/mobile/code.h>

#include <cstddef>
#include <cstdint>

namespace torchlite {

// Throws std::runtime_error when the stack holds fewer values than the instruction takes, an object lacks
// the attribute, calls are nested too deeply, or the call took more than its limit of instructions.
// `steps` counts those of one call.
void check_step(
    const torch::jit::mobile::Code& code,
    const torch::jit::Instruction& instruction,
    const torch::jit::mobile::Stack& stack,
    size_t frames,
    uint64_t& steps);

// How many values a call of an operator takes from the stack.
uint16_t count_values(const c10::OperatorName& name, int specified);

} // namespace torchlite
