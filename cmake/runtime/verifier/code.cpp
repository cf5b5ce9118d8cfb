#include "code.h"

#include "../refusal.h"
#include "instructions.h"

#ifdef TORCHLITE_OWN_CORE
#include "../core/table.h"
#else
#include <torch/csrc/jit/mobile/upgrader_mobile.h>
#endif

namespace torchlite::verifier {

namespace {

using torch::jit::Instruction;

constexpr int64_t max_registers = 65535;
constexpr int max_attribute = 65535;
constexpr size_t max_missing = 1 << 16; // characters of names

class Checker {
 public:
  Checker(const Code& code, Missing& missing) : code_(code) {
    for (const auto& use : code.operators) {
      const c10::OperatorName name(use.name, use.overload);
      arities_.push_back(find_arity(name, use.arguments));
      if (!arities_.back().known) {
        add_missing(c10::toString(name), missing);
      }
    }
  }

  static void add_missing(const std::string& name, Missing& missing) {
    const std::string entry = ", " + name;
    const size_t at = missing.find(entry);
    const bool whole = at != std::string::npos &&
        (at + entry.size() == missing.size() || missing[at + entry.size()] == ',');
    if (!whole && missing.size() < max_missing) {
      missing += entry;
    }
  }

  void check_all() {
    require(code_.registers >= 0 && code_.registers <= max_registers, "a function's registers");
    for (size_t i = 0; i < code_.instructions.size(); i++) {
      if (!check(i)) {
        const Instruction& one = code_.instructions[i];
        refuse("instruction " + std::to_string(i) + " does not fit its function: " + describe(one));
      }
    }
  }

  // Follows the code from its start, with the number of values on the stack.
  void follow() {
    if (code_.arguments < 0) {
      return;
    }
    depths_.assign(code_.instructions.size(), unseen);
    reach(0, code_.arguments);
    while (!waiting_.empty()) {
      const size_t at = waiting_.back();
      waiting_.pop_back();
      step(at);
    }
  }

 private:
  static constexpr int unseen = -2;
  static constexpr int unknown = StackEffect::unknown;

  static std::string describe(const Instruction& one) {
    return std::string(torch::jit::toString(one.op)) + " " + std::to_string(one.X) + " " +
        std::to_string(one.N);
  }

  static bool below(int64_t index, size_t count) {
    return index >= 0 && static_cast<uint64_t>(index) < count;
  }

  bool has_register(int64_t first, int64_t count) const {
    return first >= 1 && count >= 0 && first + count - 1 <= code_.registers;
  }

  bool has_target(size_t from, int32_t distance) const {
    return below(static_cast<int64_t>(from) + distance, code_.instructions.size());
  }

  bool has_type(int64_t index, const char* form) const {
    return below(index, code_.types.size()) &&
        code_.types[static_cast<size_t>(index)].find(form) != std::string_view::npos;
  }

  bool constructs(int64_t index, std::string_view form) const {
    return below(index, code_.types.size()) &&
        code_.types[static_cast<size_t>(index)].substr(0, form.size()) == form;
  }

  const Arity& arity_of(const Instruction& one) const {
    static constexpr Arity none{{0, 0}, true, false};
    const bool calls = one.op == torch::jit::OP || one.op == torch::jit::OPN;
    return calls ? arities_[static_cast<size_t>(one.X)] : none;
  }

  bool check_call(const Instruction& one) const {
    if (!below(one.X, arities_.size())) {
      return false;
    }
    const Arity& arity = arity_of(one);
    if (!arity.known) { // all that are missing are told together
      return true;
    }
    // A variadic operator takes the number of its arguments from the stack, where OPN puts it.
    return arity.variadic == (one.op == torch::jit::OPN) &&
        (!arity.variadic || one.N >= arity.effect.pops);
  }

  bool check(size_t at) const {
    const Instruction& one = code_.instructions[at];
    switch (one.op) {
      case torch::jit::OP:
      case torch::jit::OPN:
        return check_call(one);
      case torch::jit::LOAD:
      case torch::jit::MOVE:
      case torch::jit::STORE:
      case torch::jit::DROPR:
        return has_register(one.X, 1);
      case torch::jit::STOREN:
        return has_register(one.X, one.N);
      case torch::jit::LOADC:
        return below(one.X, code_.constants.size());
      case torch::jit::INTERFACE_CALL:
        return below(one.X, code_.constants.size()) && code_.constants[static_cast<size_t>(one.X)] == 's' &&
            one.N >= 1;
      case torch::jit::GET_ATTR:
      case torch::jit::SET_ATTR:
        return one.X >= 0 && one.X <= max_attribute;
      case torch::jit::LOOP:
        return has_target(at, one.X) && one.N >= 2;
      case torch::jit::JF:
      case torch::jit::JMP:
        return has_target(at, one.X);
      case torch::jit::LIST_CONSTRUCT:
        return constructs(one.X, "List[");
      case torch::jit::DICT_CONSTRUCT:
        return constructs(one.X, "Dict[") && one.N % 2 == 0;
      case torch::jit::NAMED_TUPLE_CONSTRUCT:
        return has_type(one.X, "NamedTuple");
      case torch::jit::CREATE_OBJECT:
        return below(one.X, code_.types.size());
      case torch::jit::ISINSTANCE:
        return one.X >= 0 && one.N >= 1 &&
            int64_t{one.X} + one.N <= static_cast<int64_t>(code_.types.size());
      case torch::jit::CALL:
#ifdef TORCHLITE_OWN_CORE
        return false; // it calls an upgrader, and there are none
#else
        return below(one.X, torch::jit::getUpgraderBytecodeList().size());
#endif
      case torch::jit::TUPLE_CONSTRUCT:
      case torch::jit::TUPLE_SLICE:
      case torch::jit::LIST_UNPACK:
        return one.X >= 0;
      case torch::jit::FORMAT:
        return one.X >= 1;
      default:
        return torch::jit::isOpSupportedInMobile(one.op);
    }
  }

  // Notes that `at` is reached with `depth` values on the stack.
  void reach(size_t at, int depth) {
    require(at < depths_.size(), "a function does not return");
    int& known = depths_[at];
    if (known == depth || known == unknown) {
      return;
    }
    require(known == unseen || depth == unknown, "two ways through a function leave different stacks");
    known = depth;
    waiting_.push_back(at);
  }

  bool ends(const Instruction& one) const {
    return one.op == torch::jit::RET || one.op == torch::jit::RAISE_EXCEPTION ||
        one.op == torch::jit::UNCHECKED_CAST ||
        (one.op == torch::jit::OP &&
         code_.operators[static_cast<size_t>(one.X)].name == "prim::RaiseException");
  }

  void step(size_t at) {
    const Instruction& one = code_.instructions[at];
    const Arity& arity = arity_of(one);
    const StackEffect effect = find_effect(one, arity);
    const int depth = depths_[at];
    const bool ending = ends(one);
    // Files before bytecode 8 raise with one value in place of two.
    require(
        depth == unknown || !arity.known || depth >= (ending ? 1 : effect.pops),
        "an instruction takes more values than there are");
    if (ending) {
      return;
    }
    const bool lost = depth == unknown || effect.pushes == unknown || is_upgraded(one);
    const int after = lost ? unknown : depth - effect.pops + effect.pushes;
    if (one.op != torch::jit::JMP) {
      reach(at + 1, after);
    }
    if (one.op == torch::jit::JMP || one.op == torch::jit::JF || one.op == torch::jit::LOOP) {
      const int dropped = one.op == torch::jit::LOOP ? 3 : 0;
      reach(
          static_cast<size_t>(static_cast<int64_t>(at) + one.X),
          after == unknown ? unknown : after - dropped);
    }
  }

  // What a missing operator, or one of another version, leaves is not known.
  bool is_upgraded(const Instruction& one) const {
    const bool calls = one.op == torch::jit::OP || one.op == torch::jit::OPN;
    return calls && (!arity_of(one).known || has_upgrader(code_.operators[static_cast<size_t>(one.X)]));
  }

  static bool has_upgrader(const OperatorUse& use) {
#ifdef TORCHLITE_OWN_CORE
    const Operator* found = find_operator(use.overload.empty() ? use.name : use.name + "." + use.overload);
    return found != nullptr && found->since > 0;
#else
    const auto& upgraders = torch::jit::getOperatorVersionMapForMobile();
    return upgraders.count(c10::toString(c10::OperatorName(use.name, use.overload))) > 0;
#endif
  }

  const Code& code_;
  std::vector<Arity> arities_;
  std::vector<int> depths_;
  std::vector<size_t> waiting_;
};

} // namespace

// builder/verify/runner.py reads this text.
void refuse_missing(const Missing& missing) {
  if (missing.empty()) {
    return;
  }
  fail({"this runtime lacks operators of the model: ", std::string_view(missing).substr(2)});
}

void check_code(const Code& code, Missing& missing, Budget& budget) {
  budget.spend(code.instructions.size() + code.operators.size() + code.constants.size());
  for (const auto& type : code.types) {
    check_type(type, TypePlace::Table, budget);
  }
  // A call gives the module first.
  require(code.arguments != 0, "a method takes no module");
  Checker checker(code, missing);
  checker.check_all();
  checker.follow();
}

} // namespace torchlite::verifier
