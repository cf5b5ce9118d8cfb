#include "profile.h"

#include <algorithm>
#include <cstring>

namespace torchlite {

std::atomic<int> profiled_calls{0};

namespace {

thread_local Profile* current = nullptr;

} // namespace

Profile::Scope::Scope(Profile* profile) {
  if (profile != nullptr) {
    profile->running_ = nullptr; // in the last call it may have failed
    current = profile;
    profiled_calls.fetch_add(1, std::memory_order_relaxed);
  }
}

Profile::Scope::~Scope() {
  if (current != nullptr) {
    current = nullptr;
    profiled_calls.fetch_sub(1, std::memory_order_relaxed);
  }
}

void profile_step(const c10::OperatorName* name) {
  using Clock = std::chrono::steady_clock;
  Profile* profile = current;
  if (profile == nullptr) {
    return;
  }
  if (profile->running_ != nullptr) { // it has ended, whatever this instruction is
    const std::chrono::nanoseconds spent = Clock::now() - profile->since_;
    profile->running_->nanoseconds += static_cast<uint64_t>(spent.count());
    profile->running_ = nullptr;
  }
  if (name != nullptr) {
    auto& times = profile->times;
    auto found = std::find_if(times.begin(), times.end(), [&](const torchlite_operator_time& time) {
      return name->name == time.name && name->overload_name == time.overload;
    });
    if (found == times.end()) {
      found = times.insert(found, {name->name.c_str(), name->overload_name.c_str(), 0, 0});
    }
    found->calls++;
    profile->running_ = &*found;
    profile->since_ = Clock::now();
  }
}

} // namespace torchlite
