// Opens Vulkan's library when a model needs it: a device without one can load the runtime, and run other models.

#include "pipelines.h"
#include "vulkan_wrapper.h"

#include <dlfcn.h>

#define TORCHLITE_DEFINE(name) PFN_##name name = nullptr;
TORCHLITE_VULKAN_FUNCTIONS(TORCHLITE_DEFINE)
#undef TORCHLITE_DEFINE

namespace {

// The system's name on Linux, and Android's.
constexpr const char* libraries[] = {"libvulkan.so.1", "libvulkan.so"};

struct Function {
  const char* name;
  void** variable;
};

#define TORCHLITE_LIST(name) {#name, reinterpret_cast<void**>(&name)},
const Function functions[] = {TORCHLITE_VULKAN_FUNCTIONS(TORCHLITE_LIST)};
#undef TORCHLITE_LIST

bool open() {
  for (const char* library : libraries) {
    // It stays open: drivers have threads, and do not all survive that they are closed.
    void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      continue;
    }
    bool complete = true;
    for (const auto& function : functions) {
      *function.variable = dlsym(handle, function.name);
      complete = complete && *function.variable != nullptr;
    }
    if (complete) {
      torchlite::watch_pipelines();
      return true;
    }
  }
  return false;
}

} // namespace

int InitVulkan() {
  static const bool is_open = open();
  return is_open ? 1 : 0;
}
