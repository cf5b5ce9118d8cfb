#include "instructions.h"

#ifdef TORCHLITE_OWN_CORE
#include "../core/table.h"
#else
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/mobile/prim_ops_registery.h>
#include <torch/csrc/jit/runtime/operator.h>
#endif

#include <algorithm>
#include <string_view>
#include <vector>

namespace torchlite {

#ifdef TORCHLITE_OWN_CORE
Arity find_arity(const c10::OperatorName& name, int specified) {
  const Operator* found =
      find_operator(name.overload_name.empty() ? name.name : name.name + "." + name.overload_name);
  if (found == nullptr) {
    return {{0, 0}, false, false};
  }
  int pops = found->arguments;
  if (specified >= 0 && specified < pops && !found->variadic && !found->as_given) {
    pops = std::max<int>(specified, found->outputs);
  }
  return {{pops, found->results}, true, found->variadic};
}
#else
namespace {

struct Promoted {
  std::string_view name;
  StackEffect effect;
};

// Registered without a schema: torch/csrc/jit/mobile/promoted_prim_ops.cpp.
constexpr Promoted promoted[] = {
    {"aten::Bool.Tensor", {1, 1}},
    {"aten::__getitem__.Dict_str", {2, 1}},
    {"aten::__is__", {2, 1}},
    {"aten::__isnot__", {2, 1}},
    {"aten::__not__", {1, 1}},
    {"aten::dim", {1, 1}},
    {"aten::format", {1, 1}},
    {"prim::NumToTensor.Scalar", {1, 1}},
    {"prim::RaiseException", {2, 0}},
    {"prim::TupleIndex", {2, 1}},
    {"prim::Uninitialized", {0, 1}},
    {"prim::device", {1, 1}},
    {"prim::dtype", {1, 1}},
    {"prim::is_cuda", {1, 1}},
    {"prim::layout", {1, 1}},
    {"prim::unchecked_cast", {1, 1}},
};

Arity of_promoted(const std::string& name) {
  for (const auto& one : promoted) {
    if (one.name == name) {
      return {one.effect, true, name == "aten::format"};
    }
  }
  return {{0, 0}, false, false};
}

// Tensors to write to, which come last. The first argument counts as none, for upstream as well.
int count_outputs(const std::vector<c10::Argument>& arguments) {
  int count = 0;
  for (size_t i = arguments.size(); i > 1 && arguments[i - 1].is_out(); i--) {
    count++;
  }
  return count;
}

Arity of_schema(const c10::FunctionSchema& schema, int specified) {
  int pops = static_cast<int>(schema.arguments().size());
  if (specified >= 0 && specified < pops && !schema.is_vararg()) {
    // Upstream takes the outputs off the stack before it compares their number with what the file says.
    pops = std::max(specified, count_outputs(schema.arguments()));
  }
  const int results = static_cast<int>(schema.returns().size());
  return {{pops, schema.is_varret() ? StackEffect::unknown : results}, true, schema.is_vararg()};
}

} // namespace

// The lookup order of the lite interpreter (torch/csrc/jit/mobile/function.cpp).
Arity find_arity(const c10::OperatorName& name, int specified) {
  const std::string full = c10::toString(name);
  if (torch::jit::mobile::hasPrimOpsFn(full)) {
    return of_promoted(full);
  }
  if (const auto registered = torch::jit::findOperatorFor(name)) {
    return of_schema(registered->schema(), specified);
  }
  if (const auto handle = c10::Dispatcher::singleton().findSchema(name)) {
    return of_schema(handle->schema(), specified);
  }
  return {{0, 0}, false, false};
}
#endif

StackEffect find_effect(torch::jit::Instruction instruction, const Arity& arity) {
  const int x = instruction.X;
  const int n = instruction.N;
  switch (instruction.op) {
    case torch::jit::OP:
      return arity.effect;
    case torch::jit::OPN:
      return {n, arity.effect.pushes};
    case torch::jit::LOAD:
    case torch::jit::MOVE:
    case torch::jit::LOADC:
    case torch::jit::CREATE_OBJECT:
    case torch::jit::UN_INITIALIZED:
      return {0, 1};
    case torch::jit::STORE:
    case torch::jit::DROP:
    case torch::jit::JF:
      return {1, 0};
    case torch::jit::STOREN:
      return {n, 0};
    case torch::jit::RET:
    case torch::jit::GET_ATTR:
    case torch::jit::ISINSTANCE:
    case torch::jit::TUPLE_SLICE:
    case torch::jit::DEVICE:
    case torch::jit::DTYPE:
    case torch::jit::DIM:
    case torch::jit::__NOT__:
    case torch::jit::NUM_TO_TENSOR:
    case torch::jit::IS_CUDA:
      return {1, 1};
    case torch::jit::SET_ATTR:
    case torch::jit::RAISE_EXCEPTION:
    case torch::jit::WARN:
      return {2, 0};
    case torch::jit::TUPLE_INDEX:
    case torch::jit::DICT_INDEX:
    case torch::jit::__IS__:
    case torch::jit::__ISNOT__:
      return {2, 1};
    case torch::jit::TO_LIST:
      return {3, 1};
    case torch::jit::LOOP: // the way into the body; what leaves it drops three more
      return {n + 1, n + 1};
    case torch::jit::LIST_CONSTRUCT:
    case torch::jit::DICT_CONSTRUCT:
    case torch::jit::NAMED_TUPLE_CONSTRUCT:
    case torch::jit::INTERFACE_CALL:
      return {n, 1};
    case torch::jit::TUPLE_CONSTRUCT:
    case torch::jit::FORMAT:
      return {x, 1};
    case torch::jit::LIST_UNPACK:
      return {1, x};
    case torch::jit::CALL:
      return {0, StackEffect::unknown};
    default: // JMP, DROPR; the others are refused
      return {0, 0};
  }
}

} // namespace torchlite
