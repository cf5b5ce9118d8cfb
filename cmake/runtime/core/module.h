// A model that was loaded: its functions and its object.

#pragma once

#include "table.h"
#include "value.h"

#include <ATen/core/operator_name.h>
#include <torch/csrc/jit/runtime/instruction.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace torchlite {

// A call of an operator in a function.
struct Call {
  const Operator* what;
  c10::OperatorName name; // as the file has it
  uint16_t taken; // values from the stack
  uint16_t given; // arguments that the file gives; the others are added
};

struct Code {
  std::vector<torch::jit::Instruction> instructions;
  std::vector<Call> calls;
  std::vector<Value> constants;
  std::vector<TypePtr> types;
  size_t registers = 0;
};

struct Parameter {
  std::string name;
  TypePtr type;
  Value otherwise; // what the file has for its default
};

struct Function {
  std::string name; // of the method alone
  Code code;
  bool has_signature = false;
  std::vector<Parameter> parameters; // with self
  std::vector<TypePtr> results;
};

// What functions and objects of one model share.
struct Program {
  std::vector<std::unique_ptr<Function>> functions; // in the order of the file
  std::map<std::string, const Function*, std::less<>> methods; // by class and name: "__torch__.Net.forward"
  std::map<std::string, size_t, std::less<>> attributes; // by class: how many its objects have
};

class Method {
 public:
  explicit Method(const Function& function) : function_(&function) {}
  const Function& function() const {
    return *function_;
  }
  const std::string& name() const {
    return function_->name;
  }
  // The type of a parameter, self not counted; null where the file does not say.
  TypePtr parameter(size_t index) const {
    const bool is_there = function_->has_signature && index + 1 < function_->parameters.size();
    return is_there ? function_->parameters[index + 1].type : TypePtr();
  }

 private:
  const Function* function_;
};

class Module {
 public:
  Module(std::shared_ptr<Program> program, Value object) : program_(std::move(program)), object_(std::move(object)) {}
  std::optional<Method> find_method(const std::string& name) const;
  Program& program() const {
    return *program_;
  }
  const Value& object() const {
    return object_;
  }

 private:
  std::shared_ptr<Program> program_;
  Value object_;
};

// Runs a function with all of its arguments on the stack, and nothing else; leaves its result there.
void interpret(Program& program, const Function& function, Stack& stack);

// Adds the arguments that a call leaves out.
void complete_arguments(const Operator& what, size_t given, Stack& stack);

} // namespace torchlite
