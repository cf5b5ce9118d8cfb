// Opens Android's NNAPI when a model needs it: a system without it can load the runtime, and run other models.

#include "neural_networks.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace torchlite::nnapi {

namespace {

constexpr const char* file_name = "libneuralnetworks.so";

// ResultCode of NeuralNetworks.h.
constexpr const char* code_names[] = {
    "NO_ERROR",
    "OUT_OF_MEMORY",
    "INCOMPLETE",
    "UNEXPECTED_NULL",
    "BAD_DATA",
    "OP_FAILED",
    "BAD_STATE",
    "UNMAPPABLE",
    "OUTPUT_INSUFFICIENT_SIZE",
    "UNAVAILABLE_DEVICE",
    "MISSED_DEADLINE_TRANSIENT",
    "MISSED_DEADLINE_PERSISTENT",
    "RESOURCE_EXHAUSTED_TRANSIENT",
    "RESOURCE_EXHAUSTED_PERSISTENT",
    "DEAD_OBJECT",
};
constexpr int code_count = sizeof(code_names) / sizeof(*code_names);

struct Entry {
  const char* name;
  void** variable;
  bool is_needed;
};

struct Library {
  Functions functions{};
  std::string fault;

  Library() {
    // It stays open: drivers have threads, and do not all survive that they are closed.
    void* handle = dlopen(file_name, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = dlerror();
      fault = "this system has no NNAPI, which is part of Android 8.1 (API level 27) and newer: ";
      fault += reason == nullptr ? file_name : reason;
      return;
    }
#define TORCHLITE_CALL(name, ...) {"ANeuralNetworks" #name, reinterpret_cast<void**>(&functions.name), true},
#define TORCHLITE_LATER(name, ...) {"ANeuralNetworks" #name, reinterpret_cast<void**>(&functions.name), false},
#define TORCHLITE_FREE(name) {"ANeuralNetworks" #name "_free", reinterpret_cast<void**>(&functions.name##_free), true},
    const Entry entries[] = {
        TORCHLITE_NNAPI_CALLS(TORCHLITE_CALL) TORCHLITE_NNAPI_LATER_CALLS(TORCHLITE_LATER)
            TORCHLITE_NNAPI_FREES(TORCHLITE_FREE){
                "ANeuralNetworks_getDeviceCount", reinterpret_cast<void**>(&functions.getDeviceCount), false}};
#undef TORCHLITE_CALL
#undef TORCHLITE_LATER
#undef TORCHLITE_FREE
    for (const Entry& entry : entries) {
      *entry.variable = dlsym(handle, entry.name);
      if (entry.is_needed && *entry.variable == nullptr) {
        fault = std::string("this system's NNAPI cannot be used: ") + file_name + " has no " + entry.name;
        return;
      }
    }
    uint32_t devices = 0;
    if (functions.getDeviceCount != nullptr && functions.getDeviceCount(&devices) == 0 && devices == 0) {
      fault = "this system's NNAPI has no device: there is no driver for it";
    }
  }
};

} // namespace

const Functions& open_library() {
  static const Library library;
  if (!library.fault.empty()) {
    throw std::runtime_error(library.fault);
  }
  return library.functions;
}

void expect_success(int code, const char* doing, const char* function) {
  if (code == 0) {
    return;
  }
  std::string text = std::string("NNAPI cannot ") + doing + ": ";
  text += code > 0 && code < code_count ? code_names[code] : "an unknown error";
  throw std::runtime_error(text + " (" + std::to_string(code) + ") from ANeuralNetworks" + function);
}

} // namespace torchlite::nnapi
