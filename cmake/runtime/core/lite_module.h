// Models in builder's own core, as the C API and the JNI layer both load and call them.

#pragma once

#include "../no_autograd.h"
#include "module.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace torchlite {

// Name of a file in a model, beside its code and data -> what it holds.
using ExtraFiles = std::unordered_map<std::string, std::string>;

// Load and check a model; throw std::exception. The contents of the files that `extra` names come into it.
Module load_module(const std::string& path, ExtraFiles& extra);
Module load_module(const void* data, size_t size, ExtraFiles& extra);

// Runs a method of the module on arguments without self, in inference mode. Throws std::exception, in the words of who
// called it: which argument does not fit, what the method takes, what it was given.
Value call_method(const Module& module, const Method& method, const std::vector<Value>& arguments);

// "forward(Tensor x) -> Tensor"
std::string describe_method(const Method& method);

// Whether a call may leave a parameter out, where it may leave out all that follow.
bool has_default(const Parameter& parameter);

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

} // namespace torchlite
