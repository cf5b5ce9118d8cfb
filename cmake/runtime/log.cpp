#include "log.h"

#include <algorithm>
#include <mutex>
#include <string>

namespace torch::jit {
using PrintHandler = void (*)(const std::string&);
#ifndef __APPLE__
// Weak: a runtime whose models print nothing has neither.
PrintHandler getDefaultPrintHandler() __attribute__((weak));
void setPrintHandler(PrintHandler handler) __attribute__((weak));
#endif
} // namespace torch::jit

namespace torchlite {

namespace {

struct Log {
  torchlite_log_function function = nullptr;
  void* user = nullptr;
};

std::mutex log_mutex;
Log current_log;

Log read_log() {
  const std::lock_guard<std::mutex> lock(log_mutex);
  return current_log;
}

void write(torchlite_log_kind kind, const std::string& text) {
  // Not under the lock: the function may set another log.
  if (const Log log = read_log(); log.function != nullptr) {
    log.function(log.user, kind, text.c_str());
  }
}

class Handler : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    std::string text = warning.msg();
    // A model's warning stays one line, so that it cannot look like another one.
    std::replace_if(
        text.begin(), text.end(), [](unsigned char one) { return one < ' ' || one == 0x7f; }, ' ');
    write(TORCHLITE_LOG_WARNING, text);
  }
};

#ifndef __APPLE__
void print(const std::string& text) {
  write(TORCHLITE_LOG_PRINT, text);
}
#endif

c10::WarningHandler* choose_handler() {
  static Handler handler;
  return read_log().function != nullptr ? &handler : c10::WarningUtils::get_warning_handler();
}

} // namespace

Logging::Logging() : guard_(choose_handler()) {}

void set_log(torchlite_log_function function, void* user) {
  const std::lock_guard<std::mutex> lock(log_mutex);
  current_log = {function, user};
#ifndef __APPLE__
  if (&torch::jit::setPrintHandler != nullptr && &torch::jit::getDefaultPrintHandler != nullptr) {
    torch::jit::setPrintHandler(function != nullptr ? &print : torch::jit::getDefaultPrintHandler());
  }
#endif
}

} // namespace torchlite
