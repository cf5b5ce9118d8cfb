// How long the operators of calls take, for torchlite_profile_start().

#pragma once

#include "torchlite.h"

#include <ATen/core/operator_name.h>

#include <atomic>
#include <chrono>
#include <vector>

namespace torchlite {

class Profile {
 public:
  // While it exists, what this thread interprets goes to `profile`, or nowhere when that is null.
  class Scope {
   public:
    explicit Scope(Profile* profile);
    Scope(const Scope&) = delete;
    ~Scope();
  };

  bool is_on = false;
  // In the order of their first calls. A model has no operators but the runtime's, so these are few.
  std::vector<torchlite_operator_time> times;

 private:
  friend void profile_step(const c10::OperatorName* name);

  torchlite_operator_time* running_ = nullptr; // has not ended
  std::chrono::steady_clock::time_point since_;
};

// Calls that are measured now, on any thread. When there is none, an instruction costs one read of it.
extern std::atomic<int> profiled_calls;

// The interpreter takes an instruction; `name` is the operator that it calls, of a loaded module, or null.
void profile_step(const c10::OperatorName* name);

} // namespace torchlite
