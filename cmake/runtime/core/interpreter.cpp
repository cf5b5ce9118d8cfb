// The interpreter: the instructions of lite files, as torch/csrc/jit/mobile/interpreter.cpp has them, with the checks that
// only run time can make.

#include "builtins.h"
#include "lite_module.h"

#include "../cancellation.h"
#include "../profile.h"
#include "../refusal.h"
#include "../verifier/fault.h"
#include "../verifier/instructions.h"

#include <algorithm>
#include <atomic>

namespace torchlite {

namespace {

using torch::jit::Instruction;
using verifier::require;

constexpr size_t max_frames = 128;
constexpr size_t max_stack = 1 << 20;
constexpr size_t max_looked_at = 1 << 20;
constexpr size_t max_new_attributes = 4096; // which a __setstate__ may add

std::atomic<uint64_t> step_limit{0};

// Whether a value holds tuples in more levels than a recursion over their types can take. Counts what is looked at: run
// time may share values beyond all bounds.
bool is_deep(const Value& value, int above, size_t& left) {
  if (above > verifier::max_depth || left == 0) {
    return true;
  }
  left--;
  if (!value.is(Tag::Tuple)) {
    return false; // the type of a list or dict is stored with it
  }
  const auto& items = value.to_tuple().items;
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return is_deep(item, above + 1, left); });
}

size_t size_of(const Type& type) {
  size_t size = 1;
  for (const auto& inner : type.inner) {
    size += size_of(*inner);
  }
  return size;
}

std::vector<Value> pop_items(Stack& stack, size_t count) {
  const auto first = stack.end() - static_cast<ptrdiff_t>(count);
  std::vector<Value> items(std::make_move_iterator(first), std::make_move_iterator(stack.end()));
  stack.resize(stack.size() - count);
  return items;
}

class Interpreter {
 public:
  Interpreter(Program& program, Stack& stack) : program_(program), stack_(stack) {}

  void run(const Function& function) {
    enter(function);
    while (!frames_.empty()) {
      step();
    }
  }

 private:
  struct Frame {
    const Code* code;
    size_t at;
  };

  void enter(const Function& function) {
    require(frames_.size() <= max_frames, "methods call each other too deeply");
    frames_.push_back({&function.code, 0});
    registers_.resize(registers_.size() + function.code.registers);
  }

  void leave() {
    registers_.resize(registers_.size() - frames_.back().code->registers);
    frames_.pop_back();
  }

  // Counted from the end, from 1, as upstream counts them.
  Value& reg(int32_t index) {
    return *(registers_.end() - index);
  }

  void check(const Code& code, const Instruction& one) {
    const bool calls = one.op == torch::jit::OP || one.op == torch::jit::OPN;
    if (profiled_calls.load(std::memory_order_relaxed) != 0) {
      profile_step(calls ? &code.calls[static_cast<size_t>(one.X)].name : nullptr);
    }
    if (cancelled_calls.load(std::memory_order_relaxed) != 0) {
      check_cancelled();
    }
    const uint64_t limit = step_limit.load(std::memory_order_relaxed);
    if (++steps_ > limit && limit != 0) {
      fail({"the model took more than the ", std::to_string(limit), " instructions it may take"});
    }
    Arity arity{{0, 0}, true, false};
    if (one.op == torch::jit::OP) {
      arity.effect.pops = code.calls[static_cast<size_t>(one.X)].taken;
    }
    const auto taken = static_cast<size_t>(find_effect(one, arity).pops);
    require(
        taken <= stack_.size() && stack_.size() <= max_stack, "an instruction takes more values than there are");
  }

  void step() {
    Frame& frame = frames_.back();
    const Code& code = *frame.code;
    const Instruction one = code.instructions[frame.at];
    check(code, one);
    const auto x = static_cast<size_t>(one.X);
    int32_t distance = 1;
    switch (one.op) {
      case torch::jit::OP: {
        const Call& call = code.calls[x];
        if (call.given < call.what->arguments) {
          complete_arguments(*call.what, call.given, stack_);
        }
        call.what->call(stack_);
        break;
      }
      case torch::jit::OPN:
        stack_.emplace_back(static_cast<int64_t>(one.N));
        code.calls[x].what->call(stack_);
        break;
      case torch::jit::INTERFACE_CALL: {
        const Function& method = find_method(stack_[stack_.size() - one.N], code.constants[x].to_text());
        frame.at++;
        require(
            !method.has_signature || method.parameters.size() == one.N, "a method is called with other arguments");
        enter(method);
        return;
      }
      case torch::jit::LOAD:
        stack_.push_back(reg(one.X));
        break;
      case torch::jit::MOVE:
        stack_.push_back(std::move(reg(one.X)));
        break;
      case torch::jit::STORE:
        reg(one.X) = pop(stack_);
        break;
      case torch::jit::STOREN:
        for (int32_t i = one.N; i > 0; i--) {
          reg(one.X + i - 1) = pop(stack_);
        }
        break;
      case torch::jit::DROP:
        stack_.pop_back();
        break;
      case torch::jit::DROPR:
        reg(one.X) = Value();
        break;
      case torch::jit::LOADC:
        stack_.push_back(code.constants[x]);
        break;
      case torch::jit::GET_ATTR: {
        const Value object = pop(stack_);
        const Object& held = open_object(object);
        require(x < held.slots.size(), lacks_attribute);
        stack_.push_back(held.slots[x]);
        break;
      }
      case torch::jit::SET_ATTR: {
        Value value = pop(stack_);
        const Value object = pop(stack_);
        set_attribute(open_object(object), x, std::move(value));
        break;
      }
      case torch::jit::JF:
        distance = pop(stack_).to_bool() ? 1 : one.X;
        break;
      case torch::jit::JMP:
        distance = one.X;
        break;
      case torch::jit::LOOP:
        distance = loop(one);
        break;
      case torch::jit::RET:
        leave();
        return;
      case torch::jit::LIST_CONSTRUCT:
        stack_.emplace_back(c10::make_intrusive<List>(code.types[x]->inner[0], pop_items(stack_, one.N)));
        break;
      case torch::jit::LIST_UNPACK:
        unpack_list(x);
        break;
      case torch::jit::TUPLE_CONSTRUCT:
        stack_.emplace_back(c10::make_intrusive<Tuple>(pop_items(stack_, x)));
        break;
      case torch::jit::NAMED_TUPLE_CONSTRUCT: {
        auto items = pop_items(stack_, one.N);
        require(items.size() == code.types[x]->inner.size(), "a named tuple has another number of items");
        stack_.emplace_back(c10::make_intrusive<Tuple>(std::move(items), code.types[x]));
        break;
      }
      case torch::jit::TUPLE_SLICE: {
        const Value tuple = pop(stack_);
        const auto& items = tuple.to_tuple().items;
        require(x <= items.size() && one.N <= items.size() - x, "a slice leads outside of its tuple");
        const auto first = items.begin() + one.X;
        stack_.emplace_back(c10::make_intrusive<Tuple>(std::vector<Value>(first, first + one.N)));
        break;
      }
      case torch::jit::DICT_CONSTRUCT: {
        auto items = pop_items(stack_, one.N);
        auto dict = c10::make_intrusive<Dict>(code.types[x]->inner[0], code.types[x]->inner[1]);
        for (size_t i = 0; i + 1 < items.size(); i += 2) {
          dict->set(items[i], std::move(items[i + 1]));
        }
        stack_.emplace_back(std::move(dict));
        break;
      }
      case torch::jit::CREATE_OBJECT:
        create_object(code.types[x]);
        break;
      case torch::jit::ISINSTANCE:
        is_instance(code, x, one.N);
        break;
      case torch::jit::TUPLE_INDEX:
        tuple_index(stack_);
        break;
      case torch::jit::RAISE_EXCEPTION:
        raise_exception(stack_);
        break;
      case torch::jit::__IS__:
        is(stack_);
        break;
      case torch::jit::__ISNOT__:
        is_not(stack_);
        break;
      case torch::jit::UN_INITIALIZED:
        uninitialized(stack_);
        break;
      case torch::jit::FORMAT:
        format_values(stack_, x);
        break;
      case torch::jit::DEVICE:
        device_of(stack_);
        break;
      case torch::jit::DTYPE:
        dtype_of(stack_);
        break;
      case torch::jit::DIM:
        dim_of(stack_);
        break;
      case torch::jit::__NOT__:
        negate(stack_);
        break;
      case torch::jit::DICT_INDEX:
        dict_index(stack_);
        break;
      case torch::jit::TO_LIST:
        to_nested_list(stack_);
        break;
      case torch::jit::NUM_TO_TENSOR:
        number_to_tensor(stack_);
        break;
      case torch::jit::IS_CUDA:
        is_cuda(stack_);
        break;
      case torch::jit::WARN:
        stack_.pop_back();
        TORCH_WARN(stack_.back().to_text());
        stack_.pop_back();
        break;
      default:
        fail({"the instruction ", torch::jit::toString(one.op), " is invalid"});
    }
    frame.at = static_cast<size_t>(static_cast<int64_t>(frame.at) + distance);
  }

  static constexpr const char* lacks_attribute = "an object lacks an attribute";

  // An object of a custom class has nothing that code may read or write.
  static Object& open_object(const Value& value) {
    require(value.is(Tag::Object) && !value.to_object().held, lacks_attribute);
    return value.to_object();
  }

  void set_attribute(Object& object, size_t slot, Value value) {
    size_t& known = program_.attributes[object.type->name];
    require(slot < std::max(known, max_new_attributes), lacks_attribute);
    known = std::max(known, slot + 1);
    if (slot >= object.slots.size()) {
      object.slots.resize(known);
    }
    object.slots[slot] = std::move(value);
  }

  void create_object(const TypePtr& type) {
    require(type->kind == TypeKind::Class && find_custom_class(type->name) == nullptr, "an object has no class");
    const auto known = program_.attributes.find(type->name);
    stack_.emplace_back(
        c10::make_intrusive<Object>(type, known == program_.attributes.end() ? 0 : known->second));
  }

  const Function& find_method(const Value& object, const std::string& name) {
    require(object.is(Tag::Object), "a method is called on no object");
    const std::string& owner = object.to_object().type->name;
    const auto found = program_.methods.find(owner + "." + name);
    if (found == program_.methods.end()) {
      fail({"the class ", owner, " has no method ", name, " that this runtime can call"});
    }
    return *found->second;
  }

  int32_t loop(const Instruction& one) {
    // The number of the iteration, their greatest number, whether to go on, and what goes from one to the next.
    const auto first = stack_.end() - (one.N + 1);
    const int64_t done = first[0].to_int();
    if (done < first[1].to_int() && first[2].to_bool()) {
      first[2] = done;
      first[0] = done + 1;
      return 1;
    }
    for (int32_t i = 0; i < one.N - 2; i++) {
      first[i] = std::move(first[i + 3]);
    }
    stack_.resize(stack_.size() - 3);
    return one.X;
  }

  void unpack_list(size_t count) {
    const Value list = pop(stack_);
    const auto& items = list.to_list().items;
    if (items.size() != count) {
      refuse({"Expected ", std::to_string(count), " elements in a list but found ", std::to_string(items.size())});
    }
    stack_.insert(stack_.end(), items.begin(), items.end());
  }

  void is_instance(const Code& code, size_t first, size_t count) {
    size_t left = max_looked_at;
    require(!is_deep(stack_.back(), 0, left), "values are nested too deeply");
    for (size_t i = first; i < first + count; i++) {
      left -= std::min(left, size_of(*code.types[i]));
    }
    require(left > 0, "a value is compared with too many types");
    steps_ += max_looked_at - left;
    const TypePtr type = type_of(pop(stack_));
    const auto begin = code.types.begin() + static_cast<ptrdiff_t>(first);
    stack_.emplace_back(std::any_of(begin, begin + static_cast<ptrdiff_t>(count), [&](const TypePtr& wanted) {
      return is_subtype(*type, *wanted);
    }));
  }

  Program& program_;
  Stack& stack_;
  std::vector<Frame> frames_;
  std::vector<Value> registers_;
  uint64_t steps_ = 0;
};

} // namespace

void set_step_limit(uint64_t steps) {
  step_limit.store(steps, std::memory_order_relaxed);
}

void complete_arguments(const Operator& what, size_t given, Stack& stack) {
  std::vector<Value> outputs = pop_items(stack, what.outputs);
  const size_t count = static_cast<size_t>(what.arguments) - what.outputs;
  for (size_t i = given - outputs.size(); i < count; i++) {
    const size_t missing = count - i; // counted from the end, as the defaults are
    if (missing > what.optional || what.defaults[what.optional - missing].kind == Default::Missing) {
      fail({"the model leaves out an argument of ", what.name, " that has no default"});
    }
    stack.push_back(what.defaults[what.optional - missing].make());
  }
  std::move(outputs.begin(), outputs.end(), std::back_inserter(stack));
}

void interpret(Program& program, const Function& function, Stack& stack) {
  Interpreter(program, stack).run(function);
}

} // namespace torchlite
