// How one thread ends the call of a model that another one runs.

#pragma once

#include <atomic>
#include <exception>

namespace torchlite {

// Thrown where a call was cancelled.
struct Cancelled : std::exception {
  const char* what() const noexcept override {
    return "the call was cancelled";
  }
};

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
  friend void check_cancelled();

  enum State { idle, running, cancelled };
  std::atomic<State> state_{idle};
};

// Calls that are to end, on any thread. When there is none, an instruction costs one read of it.
extern std::atomic<int> cancelled_calls;

// Throws Cancelled where this thread's call is to end.
void check_cancelled();

} // namespace torchlite
