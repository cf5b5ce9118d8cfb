// What the lite interpreter asks before it takes an instruction: the checks that only run time can make.
// The patch 0019-checked-interpreter calls this.

#pragma once

#include <torch/csrc/jit/mobile/code.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>

namespace torchlite {

// Thrown where a call was cancelled.
struct Cancelled : std::exception {
  const char* what() const noexcept override {
    return "the call was cancelled";
  }
};

// By which one thread ends the call that another one runs.
class Cancellation {
 public:
  // The running call ends before its next instruction, so when its operator ends. Without one it has no effect.
  void cancel();

  // Until it ends, this thread's instructions look whether they are to go on.
  class Scope {
   public:
    explicit Scope(Cancellation& cancellation);
    Scope(const Scope&) = delete;
    ~Scope();

   private:
    Cancellation& cancellation_;
  };

 private:
  friend void check_step(
      const torch::jit::mobile::Code&,
      const torch::jit::Instruction&,
      const torch::jit::mobile::Stack&,
      size_t,
      uint64_t&);

  enum State { idle, running, cancelled };
  std::atomic<State> state_{idle};
};

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
