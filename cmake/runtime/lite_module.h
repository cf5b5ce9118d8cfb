// Models of the lite interpreter as the C API and the JNI layer both load and call them.

#pragma once

#ifdef TORCHLITE_OWN_CORE
#include "core/lite_module.h"
#else

#include "no_autograd.h"

#include <ATen/Parallel.h>
#include <ATen/core/dynamic_type.h>
#include <ATen/core/jit_type.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/mobile/import.h>
#include <torch/csrc/jit/mobile/module.h>

#include <cstdint>
#include <string>
#include <vector>

namespace torchlite {

using Module = torch::jit::mobile::Module;
using Method = torch::jit::mobile::Method;
using ExtraFiles = torch::jit::ExtraFilesMap;

// Load and check a model; throw std::exception. The contents of the files that `extra` names come into it.
Module load_module(const std::string& path);
Module load_module(const std::string& path, ExtraFiles& extra);
Module load_module(const void* data, size_t size);
Module load_module(const void* data, size_t size, ExtraFiles& extra);

// Runs a method of the module on arguments without self, in inference mode. Throws std::exception, in the words of who
// called it: which argument does not fit, what the method takes, what it was given.
c10::IValue call_method(
    const Module& module, const Method& method, const std::vector<c10::IValue>& arguments);

// "forward(Tensor x) -> Tensor"
std::string describe_method(const Method& method);

// "Optional[List[int]]"
std::string describe_type(const c10::Type& type);

// Whether a call may leave a parameter out, where it may leave out all that follow.
bool has_default(const c10::Argument& argument);

// Interpreted instructions that one call of a method may take; 0 for any number. For the whole process.
void set_step_limit(uint64_t steps);

// While one exists, operators may run: set_threads() waits until there is none. Throws std::exception where the thread has
// one already, which is so in a log function.
class Running {
 public:
  Running();
  Running(const Running&) = delete;
  ~Running();
};

// Waits for running operators, and refuses more threads than any processor has use for.
void set_threads(int threads);

// Whether threads wait for work awake, at first.
void set_spinning(bool on);

// The lite interpreter's schemas hold DynamicType in place of the types themselves.
inline c10::TypeKind kind_of(const c10::Type& type) {
  const auto* dynamic = type.castRaw<c10::DynamicType>();
  return dynamic != nullptr ? dynamic->dynamicKind() : type.kind();
}

} // namespace torchlite

#endif
