#include "cancellation.h"

namespace torchlite {

std::atomic<int> cancelled_calls{0};

namespace {

thread_local Cancellation* current_call = nullptr;

} // namespace

void Cancellation::cancel() {
  State expected = running;
  cancelled_calls++; // first, so that the end of the call finds it counted
  if (!state_.compare_exchange_strong(expected, cancelled)) {
    cancelled_calls--;
  }
}

Cancellation::Scope::Scope(Cancellation& cancellation) : cancellation_(cancellation) {
  cancellation_.state_ = running;
  current_call = &cancellation_;
}

Cancellation::Scope::~Scope() {
  current_call = nullptr;
  if (cancellation_.state_.exchange(idle) == cancelled) {
    cancelled_calls--;
  }
}

void check_cancelled() {
  if (current_call != nullptr && current_call->state_ == Cancellation::cancelled) {
    throw Cancelled();
  }
}

} // namespace torchlite
