#include "methods.h"

#include "refusal.h"
#include "verifier/fault.h"

#include <algorithm>
#include <set>
#include <utility>

namespace torchlite {

namespace {

// What the cores know of a method, in the words of both: inputs are without the module itself.
struct Given {
  std::string name;
  const AnyType* type;
  bool has_default;
};

torchlite_kind find_kind(const AnyType& type) {
  switch (kind_of(type)) {
    case Kind::Tensor:
      return TORCHLITE_VALUE_TENSOR;
    case Kind::Bool:
      return TORCHLITE_VALUE_BOOL;
    case Kind::Int:
      return TORCHLITE_VALUE_INT;
    case Kind::Float:
      return TORCHLITE_VALUE_FLOAT;
    case Kind::String:
      return TORCHLITE_VALUE_STRING;
    case Kind::List:
      return TORCHLITE_VALUE_LIST;
    case Kind::Tuple:
      return TORCHLITE_VALUE_TUPLE;
    case Kind::Dict:
      return TORCHLITE_VALUE_DICT;
    case Kind::None:
      return TORCHLITE_VALUE_NONE;
    default:
      return TORCHLITE_VALUE_ANY;
  }
}

#ifdef TORCHLITE_OWN_CORE

std::vector<const Type*> list_inner(const Type& type) {
  std::vector<const Type*> inner;
  for (const auto& one : type.inner) {
    inner.push_back(one.get());
  }
  return inner;
}

// Of the class of the module: a file has the methods of submodules too, which nobody can call.
std::set<std::string> list_names(const Module& module) {
  const std::string own = module.object().to_object().type->name + ".";
  std::set<std::string> names;
  for (const auto& [name, function] : module.program().methods) {
    if (name == own + function->name) {
      names.insert(function->name);
    }
  }
  return names;
}

bool is_typed(const Method& method) {
  return method.function().has_signature;
}

std::vector<Given> list_inputs(const Method& method) {
  std::vector<Given> inputs;
  const auto& parameters = method.function().parameters;
  for (size_t i = 1; i < parameters.size(); i++) {
    inputs.push_back({parameters[i].name, parameters[i].type.get(), has_default(parameters[i])});
  }
  return inputs;
}

std::vector<const Type*> list_outputs(const Method& method) {
  std::vector<const Type*> outputs;
  for (const auto& one : method.function().results) {
    outputs.push_back(one.get());
  }
  return outputs;
}

#else

std::vector<const c10::Type*> list_inner(const c10::Type& type) {
  std::vector<const c10::Type*> inner;
  for (size_t i = 0; i < type.containedTypeSize(); i++) {
    inner.push_back(type.containedType(i).get());
  }
  return inner;
}

// Of the class of the module: a file has the methods of submodules too, which nobody can call.
std::set<std::string> list_names(const Module& module) {
  const std::string own = module.name();
  std::set<std::string> names;
  for (const auto& function : module.compilation_unit().methods()) {
    if (function->qualname().prefix() == own) {
      names.insert(function->name());
    }
  }
  return names;
}

bool is_typed(const Method& method) {
  return method.function().hasSchema();
}

std::vector<Given> list_inputs(const Method& method) {
  std::vector<Given> inputs;
  const auto& arguments = method.function().getSchema().arguments();
  for (size_t i = 1; i < arguments.size(); i++) {
    inputs.push_back({arguments[i].name(), arguments[i].type().get(), has_default(arguments[i])});
  }
  return inputs;
}

std::vector<const c10::Type*> list_outputs(const Method& method) {
  std::vector<const c10::Type*> outputs;
  for (const auto& one : method.function().getSchema().returns()) {
    outputs.push_back(one.type().get());
  }
  return outputs;
}

#endif

} // namespace

std::vector<Method> list_methods(const Module& module) {
  std::vector<Method> methods;
  for (const auto& name : list_names(module)) {
    // Where a submodule has a method of this name, it may be the one that is called.
    const auto method = module.find_method(name);
    if (method && name.rfind("__", 0) != 0) {
      methods.push_back(*method);
    }
  }
  return methods;
}

Methods::Methods(const Module& module) {
  for (const auto& method : list_methods(module)) {
    methods_.push_back(describe(method));
  }
}

torchlite_method Methods::describe(const Method& method) {
  torchlite_method told{};
  told.name = keep(method.name());
  told.text = keep(describe_method(method));
  if (!is_typed(method)) {
    return told;
  }
  told.is_typed = 1;
  const auto given = list_inputs(method);
  inputs_.push_back(std::make_unique<torchlite_input[]>(given.size()));
  torchlite_input* inputs = inputs_.back().get();
  bool may_be_left_out = true; // with all that follow
  for (size_t i = given.size(); i-- > 0;) {
    may_be_left_out = may_be_left_out && given[i].has_default;
    inputs[i] = {keep(given[i].name), describe_type(*given[i].type, 0), may_be_left_out ? 1 : 0};
  }
  told.input_count = given.size();
  told.inputs = inputs;
  const auto returned = list_outputs(method);
  types_.push_back(std::make_unique<torchlite_type[]>(returned.size()));
  torchlite_type* outputs = types_.back().get();
  for (size_t i = 0; i < returned.size(); i++) {
    outputs[i] = describe_type(*returned[i], 0);
  }
  told.output_count = returned.size();
  told.outputs = outputs;
  return told;
}

torchlite_type Methods::describe_type(const AnyType& type, int above) {
  if (above > verifier::max_depth) {
    fail({"a type of the model is nested too deeply"});
  }
  const auto inner = list_inner(type);
  if (kind_of(type) == Kind::Optional && inner.size() == 1) {
    torchlite_type told = describe_type(*inner[0], above + 1);
    told.is_optional = 1;
    told.text = keep(torchlite::describe_type(type));
    return told;
  }
  torchlite_type told{};
  told.kind = find_kind(type);
  told.text = keep(torchlite::describe_type(type));
  if (told.kind == TORCHLITE_VALUE_LIST || told.kind == TORCHLITE_VALUE_TUPLE || told.kind == TORCHLITE_VALUE_DICT) {
    auto items = std::make_unique<torchlite_type[]>(inner.size());
    for (size_t i = 0; i < inner.size(); i++) {
      items[i] = describe_type(*inner[i], above + 1);
    }
    told.count = inner.size();
    told.items = items.get();
    types_.push_back(std::move(items));
  }
  return told;
}

const char* Methods::keep(std::string text) {
  texts_.push_back(std::move(text));
  return texts_.back().c_str();
}

} // namespace torchlite
