// The C API of torchlite.h over the lite interpreter.

#include "torchlite.h"

#include "any_value.h"
#include "gpu.h"
#include "lite_module.h"
#include "log.h"
#include "methods.h"
#include "profile.h"
#include "refusal.h"
#include "selected_operators.h"
#include "values.h"
#include "verifier/instructions.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#ifdef TORCHLITE_OWN_CORE
#include "core/seed.h"
#else
#include <ATen/CPUGeneratorImpl.h>
namespace at::detail {
#ifdef __APPLE__
const Generator& getDefaultCPUGenerator(); // Mach-O links nothing that may be missing.
#else
// Weak: a runtime whose operators draw no random numbers links no generator.
const Generator& getDefaultCPUGenerator() __attribute__((weak));
#endif
} // namespace at::detail
#endif

struct torchlite_module {
  torchlite::Module module;
  torchlite::ExtraFiles files{};
  bool is_lost = false; // it has kept inputs, and there was no memory for copies of them
  torchlite::Profile profile{};
  std::unique_ptr<torchlite::Methods> methods{}; // once they were asked for
};

struct torchlite_result {
  torchlite::Outputs outputs;
};

namespace {

thread_local std::string last_error;

using torchlite::Failure;

torchlite_status fail(torchlite_status status, const std::string& text) {
  last_error = text;
  return status;
}

// Says what the exception in flight is. One function for all calls: each handler takes space.
torchlite_status tell(torchlite_status on_error) noexcept {
  try {
    try {
      throw;
    } catch (const Failure& error) {
      return fail(error.status, error.what());
    } catch (const c10::Error& error) {
      return fail(on_error, torchlite::explain(error));
    } catch (const std::exception& error) {
      return fail(on_error, error.what());
    } catch (...) {
      return fail(on_error, "unknown error");
    }
  } catch (...) {
    return on_error; // there is no memory for the text either
  }
}

template <typename Body>
torchlite_status guarded(torchlite_status on_error, Body&& body) noexcept {
  try {
    last_error.clear();
    return body();
  } catch (...) {
    torchlite::wait_for_gpu();
    return tell(on_error);
  }
}

using Value = torchlite::AnyValue;

std::vector<Value> to_arguments(
    const torchlite::Method& method,
    const torchlite_value* values,
    size_t count,
    torchlite::Inputs& inputs) {
  std::vector<Value> arguments;
  for (size_t i = 0; i < count; i++) {
    try {
      arguments.push_back(inputs.read(values[i], torchlite::parameter_type(method, i)));
    } catch (const Failure& error) {
      throw Failure(
          error.status,
          torchlite::join(
              {"input ", std::to_string(i), ": ", error.what(), "; the method is ", torchlite::describe_method(method)}));
    }
  }
  return arguments;
}

torchlite_status run(
    torchlite_module* module,
    const char* name,
    const torchlite_value* values,
    size_t count,
    bool flat,
    torchlite_result** result) {
  c10::InferenceMode guard;
  const torchlite::Logging logging;
  if (module->is_lost) {
    throw Failure(
        TORCHLITE_RUN_FAILED,
        "an earlier call had no memory for an input that the model keeps; load the model again");
  }
  const auto method = module->module.find_method(name);
  if (!method.has_value()) {
    throw Failure(TORCHLITE_RUN_FAILED, torchlite::join({"the model has no method '", {name, strnlen(name, 200)}, "'"}));
  }
  const bool on_gpu = torchlite::is_for_gpu(module->module);
  std::optional<torchlite::GpuTurn> turn;
  if (on_gpu) {
    turn.emplace();
  }
  torchlite::Inputs inputs(on_gpu, module->is_lost);
  auto made = std::make_unique<torchlite_result>();
  const torchlite::Profile::Scope scope(module->profile.is_on ? &module->profile : nullptr);
  // The arguments end with this statement.
  const Value returned =
      torchlite::call_method(module->module, *method, to_arguments(*method, values, count, inputs));
  inputs.give_back();
  made->outputs.set(returned, flat);
  *result = made.release();
  return TORCHLITE_OK;
}

bool is_served(const std::string& operator_name) {
  const size_t dot = operator_name.find('.');
  const c10::OperatorName name(
      operator_name.substr(0, dot),
      dot == std::string::npos ? std::string() : operator_name.substr(dot + 1));
  return torchlite::find_arity(name, /*specified=*/-1).known;
}

std::vector<const char*> collect_operators() {
  std::vector<const char*> names;
  for (const char* const* name = torchlite::selected_operators; *name != nullptr; name++) {
    if (is_served(*name)) {
      names.push_back(*name);
    }
  }
  names.push_back(nullptr);
  return names;
}

} // namespace

extern "C" {

torchlite_status torchlite_load(const char* path, torchlite_module** module) {
  if (path == nullptr || module == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load: null argument");
  }
  return torchlite_load_with_files(path, nullptr, 0, nullptr, 0, module);
}

torchlite_status torchlite_load_buffer(const void* data, size_t size, torchlite_module** module) {
  if (data == nullptr || module == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load_buffer: null argument");
  }
  return torchlite_load_with_files(nullptr, data, size, nullptr, 0, module);
}

torchlite_status torchlite_load_with_files(
    const char* path,
    const void* data,
    size_t size,
    const char* const* names,
    size_t count,
    torchlite_module** module) {
  if ((path == nullptr && data == nullptr) || module == nullptr || (count > 0 && names == nullptr)) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load_with_files: null argument");
  }
  if (path == nullptr && size > static_cast<size_t>(PTRDIFF_MAX)) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load_buffer: no memory is that large");
  }
  return guarded(TORCHLITE_LOAD_FAILED, [&] {
    torchlite::check_count(count);
    const torchlite::Logging logging;
    torchlite::ExtraFiles files;
    for (size_t i = 0; i < count; i++) {
      if (names[i] == nullptr) {
        throw Failure(TORCHLITE_INVALID_ARGUMENT, "torchlite_load_with_files: a name is null");
      }
      files.emplace(names[i], std::string());
    }
    // The module is made in its place. A map in it takes memory when it is moved, which is noexcept nevertheless
    // (c10/util/flat_hash_map.h), so moving a module would end the process where there is none.
    *module = new torchlite_module{
        path != nullptr ? torchlite::load_module(path, files) : torchlite::load_module(data, size, files)};
    (*module)->files = std::move(files);
    return TORCHLITE_OK;
  });
}

torchlite_status
torchlite_module_file(const torchlite_module* module, const char* name, const void** data, size_t* size) {
  if (module == nullptr || name == nullptr || data == nullptr || size == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_module_file: null argument");
  }
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
    const auto found = module->files.find(name);
    if (found == module->files.end()) {
      throw Failure(
          TORCHLITE_INVALID_ARGUMENT,
          torchlite::join({"the module was not loaded with the extra file '", {name, strnlen(name, 200)}, "'"}));
    }
    *data = found->second.c_str();
    *size = found->second.size();
    return TORCHLITE_OK;
  });
}

torchlite_status
torchlite_module_methods(torchlite_module* module, const torchlite_method** methods, size_t* count) {
  if (module == nullptr || methods == nullptr || count == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_module_methods: null argument");
  }
  return guarded(TORCHLITE_RUN_FAILED, [&] {
    if (module->methods == nullptr) {
      module->methods = std::make_unique<torchlite::Methods>(module->module);
    }
    *methods = module->methods->all().data();
    *count = module->methods->all().size();
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_run_method(
    torchlite_module* module,
    const char* method,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result) {
  if (module == nullptr || method == nullptr || result == nullptr || (count > 0 && inputs == nullptr)) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_run_method: null argument");
  }
  return guarded(TORCHLITE_RUN_FAILED, [&] {
    torchlite::check_count(count);
    std::vector<torchlite_value> values(count);
    for (size_t i = 0; i < count; i++) {
      values[i].kind = TORCHLITE_VALUE_TENSOR;
      values[i].as.tensor = inputs[i];
    }
    return run(module, method, values.data(), count, /*flat=*/true, result);
  });
}

torchlite_status torchlite_run_values(
    torchlite_module* module,
    const char* method,
    const torchlite_value* inputs,
    size_t count,
    torchlite_result** result) {
  if (module == nullptr || method == nullptr || result == nullptr || (count > 0 && inputs == nullptr)) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_run_values: null argument");
  }
  return guarded(TORCHLITE_RUN_FAILED, [&] {
    torchlite::check_count(count);
    return run(module, method, inputs, count, /*flat=*/false, result);
  });
}

torchlite_status torchlite_forward(
    torchlite_module* module,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result) {
  return torchlite_run_method(module, "forward", inputs, count, result);
}

size_t torchlite_result_count(const torchlite_result* result) {
  return result == nullptr ? 0 : result->outputs.leaves().size();
}

torchlite_status
torchlite_result_tensor(const torchlite_result* result, size_t index, torchlite_tensor* tensor) {
  if (result == nullptr || tensor == nullptr || index >= result->outputs.leaves().size()) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_result_tensor: no such output");
  }
  *tensor = result->outputs.leaves()[index];
  return TORCHLITE_OK;
}

torchlite_status torchlite_result_value(const torchlite_result* result, torchlite_value* value) {
  if (result == nullptr || value == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_result_value: null argument");
  }
  *value = result->outputs.value();
  return TORCHLITE_OK;
}

void torchlite_result_free(torchlite_result* result) {
  delete result;
}

void torchlite_module_free(torchlite_module* module) {
  delete module;
}

const char* torchlite_error(void) {
  return last_error.c_str();
}

const char* const* torchlite_operators(size_t* count) {
  static const std::vector<const char*> names = collect_operators();
  if (count != nullptr) {
    *count = names.size() - 1;
  }
  return names.data();
}

const char* const* torchlite_devices(size_t* count) {
  static const char* const names[] = {"cpu", torchlite::has_device() ? torchlite::gpu_name : nullptr, nullptr};
  if (count != nullptr) {
    *count = names[1] == nullptr ? 1 : 2;
  }
  return names;
}

int32_t torchlite_abi_version(void) {
  return TORCHLITE_ABI_VERSION;
}

const char* torchlite_version(void) {
  return TORCHLITE_PYTORCH_VERSION;
}

torchlite_status torchlite_set_threads(int32_t threads) {
  if (threads < 0) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_set_threads: negative");
  }
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
    torchlite::set_threads(threads);
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_set_spinning(int32_t on) {
  last_error.clear();
  torchlite::set_spinning(on != 0);
  return TORCHLITE_OK;
}

torchlite_status torchlite_set_step_limit(uint64_t steps) {
  last_error.clear();
  torchlite::set_step_limit(steps);
  return TORCHLITE_OK;
}

torchlite_status torchlite_set_log(torchlite_log_function function, void* user) {
  last_error.clear();
  torchlite::set_log(function, user);
  return TORCHLITE_OK;
}

torchlite_status torchlite_set_pipeline_cache(const char* path) {
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
    torchlite::keep_pipelines(path == nullptr ? "" : path);
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_set_seed(uint64_t seed) {
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
#ifdef TORCHLITE_OWN_CORE
    if (torchlite::set_generator_seed != nullptr) {
      torchlite::set_generator_seed(seed);
    }
#else
#ifndef __APPLE__
    if (&at::detail::getDefaultCPUGenerator != nullptr)
#endif
    {
      at::Generator generator = at::detail::getDefaultCPUGenerator();
      const std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_current_seed(seed);
    }
#endif
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_profile_start(torchlite_module* module) {
  if (module == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_profile_start: null argument");
  }
  last_error.clear();
  module->profile.times.clear();
  module->profile.is_on = true;
  return TORCHLITE_OK;
}

torchlite_status
torchlite_profile_stop(torchlite_module* module, const torchlite_operator_time** times, size_t* count) {
  if (module == nullptr || times == nullptr || count == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_profile_stop: null argument");
  }
  last_error.clear();
  module->profile.is_on = false;
  *times = module->profile.times.data();
  *count = module->profile.times.size();
  return TORCHLITE_OK;
}

} // extern "C"
