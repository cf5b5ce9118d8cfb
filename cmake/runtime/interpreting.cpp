#include "interpreting.h"

#include "cancellation.h"
#include "lite_module.h"
#include "profile.h"
#include "refusal.h"
#include "verifier/fault.h"
#include "verifier/instructions.h"

#include <algorithm>
#include <atomic>

namespace torchlite {

namespace {

using verifier::require;

constexpr size_t max_frames = 128;
constexpr size_t max_stack = 1 << 20;
constexpr size_t max_looked_at = 1 << 20;
constexpr size_t max_new_attributes = 4096; // which a __setstate__ may add

std::atomic<uint64_t> step_limit{0};

// An object of a custom class holds a C++ object of its class in its one attribute, which upstream takes for what the
// class says: code must not put another there, nor take it out.
bool is_custom(const c10::IValue& object) {
  const auto& type = *object.toObjectRef().type();
  return type.numAttributes() > 0 && kind_of(*type.getAttribute(0)) == c10::TypeKind::CapsuleType;
}

// Upstream would add attributes up to any number.
void check_set(const c10::IValue& object, size_t slot) {
  require(
      object.isObject() && !is_custom(object) &&
          slot < std::max(object.toObjectRef().type()->numAttributes(), max_new_attributes),
      "an object lacks an attribute");
}

void check_get(const c10::IValue& object, size_t slot) {
  require(
      object.isObject() && !is_custom(object) && slot < object.toObjectRef().slots().size(),
      "an object lacks an attribute");
}

// Of a type that a value is compared with; see the patch 0026-types-in-types.
size_t size_of(const c10::Type& type) {
  const auto* dynamic = type.castRaw<c10::DynamicType>();
  return dynamic != nullptr ? dynamic->size() : 1;
}

// Whether a value holds values in more levels than upstream's recursion over their types can take. Counts
// what is looked at: run time may share values beyond all bounds.
bool is_deep(const c10::IValue& value, int above, size_t& left) {
  if (above > verifier::max_depth || left == 0) {
    return true;
  }
  left--;
  if (!value.isTuple()) {
    return false; // the type of a list or dict is stored with it
  }
  const auto& items = value.toTupleRef().elements();
  return std::any_of(items.begin(), items.end(), [&](const c10::IValue& item) {
    return is_deep(item, above + 1, left);
  });
}

// Whether printing a value takes more than anybody reads: run time may share values beyond all bounds, and let a list
// hold itself.
bool is_long(const c10::IValue& value, int above, size_t& left) {
  if (above > verifier::max_depth || left == 0) {
    return true;
  }
  left--;
  const auto holds_long = [&](const c10::IValue& item) { return is_long(item, above + 1, left); };
  if (value.isTuple()) {
    const auto& items = value.toTupleRef().elements();
    return std::any_of(items.begin(), items.end(), holds_long);
  }
  if (value.isList()) {
    const auto items = value.toListRef();
    return std::any_of(items.begin(), items.end(), holds_long);
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    return std::any_of(dict.begin(), dict.end(), [&](const auto& entry) {
      return holds_long(entry.key()) || holds_long(entry.value());
    });
  }
  return false;
}

// A method of a custom class takes its arguments without a look at the stack.
void check_method(const c10::IValue& object, const c10::IValue& name, size_t given) {
  require(object.isObject() && name.isString(), "a method is called on no object");
  const auto& method = object.toObjectRef().type()->getMethod(name.toStringRef());
  if (dynamic_cast<const torch::jit::mobile::Function*>(&method) == nullptr) {
    require(given == method.getSchema().arguments().size(), "a method is called with other arguments");
  }
}

} // namespace

void set_step_limit(uint64_t steps) {
  step_limit.store(steps, std::memory_order_relaxed);
}

void check_step(
    const torch::jit::mobile::Code& code,
    const torch::jit::Instruction& instruction,
    const torch::jit::mobile::Stack& stack,
    size_t frames,
    uint64_t& steps) {
  if (profiled_calls.load(std::memory_order_relaxed) != 0) {
    const auto x = static_cast<size_t>(instruction.X);
    const bool calls = instruction.op == torch::jit::OP || instruction.op == torch::jit::OPN;
    profile_step(calls && x < code.op_names_.size() ? &code.op_names_[x] : nullptr);
  }
  if (cancelled_calls.load(std::memory_order_relaxed) != 0) {
    check_cancelled();
  }
  const uint64_t limit = step_limit.load(std::memory_order_relaxed);
  if (++steps > limit && limit != 0) {
    fail({"the model took more than the ", std::to_string(limit), " instructions it may take"});
  }
  const auto x = static_cast<size_t>(instruction.X);
  Arity arity{{0, 0}, true, false};
  if (instruction.op == torch::jit::OP) {
    require(x < code.operator_values_.size(), "an operator is none of the function's");
    arity.effect.pops = code.operator_values_[x];
  }
  const auto taken = static_cast<size_t>(find_effect(instruction, arity).pops);
  require(
      taken <= stack.size() && stack.size() <= max_stack,
      "an instruction takes more values than there are");
  switch (instruction.op) {
    case torch::jit::GET_ATTR:
      return check_get(stack.back(), x);
    case torch::jit::SET_ATTR:
      return check_set(stack[stack.size() - 2], x);
    case torch::jit::ISINSTANCE: {
      size_t left = max_looked_at;
      require(!is_deep(stack.back(), 0, left), "values are nested too deeply");
      for (size_t i = x; i < x + instruction.N; i++) {
        left -= std::min(left, size_of(*code.types_[i]));
      }
      require(left > 0, "a value is compared with too many types");
      steps += max_looked_at - left;
      return;
    }
    case torch::jit::FORMAT: {
      size_t left = max_looked_at;
      return require(
          std::none_of(stack.end() - static_cast<std::ptrdiff_t>(taken), stack.end(), [&](const c10::IValue& value) {
            return is_long(value, 0, left);
          }),
          "a text would be too long");
    }
    case torch::jit::INTERFACE_CALL:
      require(x < code.constants_.size(), "a method has no name");
      check_method(stack[stack.size() - taken], code.constants_[x], taken);
      [[fallthrough]];
    case torch::jit::CALL:
      return require(frames <= max_frames, "methods call each other too deeply");
    default:
      return;
  }
}

uint16_t count_values(const c10::OperatorName& name, int specified) {
  return static_cast<uint16_t>(std::clamp(find_arity(name, specified).effect.pops, 0, UINT16_MAX));
}

} // namespace torchlite
