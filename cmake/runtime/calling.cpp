// Calling methods: arguments are held against the signature first, and errors say what was given.

#include "lite_module.h"
#include "pages.h"
#include "refusal.h"
#include "verifier/fault.h"

#ifndef TORCHLITE_OWN_CORE
#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#endif
#include <c10/core/CPUAllocator.h>
#include <caffe2/utils/threadpool/pthreadpool-cpp.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#ifndef __APPLE__
// How often threads look for work before they sleep, of the patch 0032-spinning; on Apple's systems they sleep at once.
extern "C" std::atomic<uint32_t> pthreadpool_spins;
#endif

namespace torchlite {

#ifndef TORCHLITE_OWN_CORE
namespace {

// What an app can walk through, and hold.
constexpr size_t max_values = 1 << 22;

const char* name_of(c10::TypeKind kind) {
  switch (kind) {
    case c10::TypeKind::TensorType:
      return "Tensor";
    case c10::TypeKind::IntType:
      return "int";
    case c10::TypeKind::FloatType:
      return "float";
    case c10::TypeKind::BoolType:
      return "bool";
    case c10::TypeKind::StringType:
      return "str";
    case c10::TypeKind::NoneType:
      return "None";
    case c10::TypeKind::NumberType:
      return "number";
    case c10::TypeKind::ListType:
      return "List";
    case c10::TypeKind::DictType:
      return "Dict";
    case c10::TypeKind::TupleType:
      return "Tuple";
    case c10::TypeKind::OptionalType:
      return "Optional";
    case c10::TypeKind::AnyType:
      return "Any";
    default:
      return "object";
  }
}

std::string describe(const c10::IValue& value) {
  return value.isTensor() ? describe_tensor(value.toTensor())
                          : describe_type(*value.type<c10::DynamicType>());
}

} // namespace

std::string describe_type(const c10::Type& type) {
  const c10::TypeKind kind = kind_of(type);
  std::string text = name_of(kind);
  const bool holds = kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType ||
      kind == c10::TypeKind::TupleType || kind == c10::TypeKind::OptionalType;
  for (size_t i = 0; holds && i < type.containedTypeSize(); i++) {
    text += (i == 0 ? "[" : ", ") + describe_type(*type.containedType(i));
  }
  return holds && type.containedTypeSize() > 0 ? text + "]" : text;
}

// The first argument is the module itself.
std::string describe_method(const Method& method) {
  std::string text = method.name();
  const auto& function = method.function();
  if (!function.hasSchema()) {
    return text;
  }
  const auto& schema = function.getSchema();
  text += "(";
  for (size_t i = 1; i < schema.arguments().size(); i++) {
    const auto& one = schema.arguments()[i];
    text += join({i == 1 ? "" : ", ", describe_type(*one.type()), " ", one.name()});
  }
  text += ")";
  for (const auto& one : schema.returns()) {
    text += " -> " + describe_type(*one.type());
  }
  return text;
}

// Files have None as the default of a parameter without one.
bool has_default(const c10::Argument& argument) {
  return kind_of(*argument.type()) == c10::TypeKind::OptionalType ||
      (argument.default_value().has_value() && !argument.default_value()->isNone());
}

namespace {

std::string describe_call(const Method& method, const std::vector<c10::IValue>& arguments) {
  std::string given;
  for (const auto& argument : arguments) {
    given += join({given.empty() ? "" : ", ", describe(argument)});
  }
  return join({"; the method is ", describe_method(method), ", this call passes (", given, ")"});
}

// Where a value does not fit a type, and what stands there: ", item 0 is float". A list and a dict have the type that the
// caller or the signature gave them, whatever is in them.
std::optional<std::string> find_misfit(const c10::IValue& value, const c10::Type& wanted) {
  const auto inside = [](const char* what, size_t index, std::optional<std::string> found) {
    return found ? std::optional(join({", ", what, " ", std::to_string(index), *found})) : found;
  };
  size_t index = 0;
  switch (kind_of(wanted)) {
    case c10::TypeKind::OptionalType:
      return value.isNone() ? std::nullopt : find_misfit(value, *wanted.containedType(0));
    case c10::TypeKind::ListType:
      if (value.isList()) {
        for (const auto& item : value.toListRef()) {
          if (auto found = inside("item", index++, find_misfit(item, *wanted.containedType(0)))) {
            return found;
          }
        }
        return std::nullopt;
      }
      break;
    case c10::TypeKind::DictType:
      if (value.isGenericDict()) {
        for (const auto& entry : value.toGenericDict()) {
          if (auto found = inside("key", index, find_misfit(entry.key(), *wanted.containedType(0)))) {
            return found;
          }
          if (auto found = inside("value", index++, find_misfit(entry.value(), *wanted.containedType(1)))) {
            return found;
          }
        }
        return std::nullopt;
      }
      break;
    case c10::TypeKind::TupleType:
      if (value.isTuple() && value.toTupleRef().elements().size() == wanted.containedTypeSize()) {
        for (const auto& item : value.toTupleRef().elements()) {
          if (auto found = inside("item", index, find_misfit(item, *wanted.containedType(index)))) {
            return found;
          }
          index++;
        }
        return std::nullopt;
      }
      break;
    default:
      break;
  }
  return value.type<c10::DynamicType>()->isSubtypeOf(wanted) ? std::nullopt
                                                             : std::optional(" is " + describe(value));
}

void check_arguments(const Method& method, const std::vector<c10::IValue>& arguments) {
  if (!method.function().hasSchema()) {
    return;
  }
  const auto& wanted = method.function().getSchema().arguments();
  size_t needed = wanted.size();
  while (needed > 1 && has_default(wanted[needed - 1])) {
    needed--;
  }
  const size_t given = arguments.size() + 1;
  if (given < needed || given > wanted.size()) {
    const size_t limit = (given < needed ? needed : wanted.size()) - 1;
    fail(
        {method.name(),
         " takes ",
         needed == wanted.size()  ? ""
             : given < needed     ? "at least "
                                  : "at most ",
         std::to_string(limit),
         limit == 1 ? " input" : " inputs",
         ", this call passes ",
         std::to_string(arguments.size()),
         describe_call(method, arguments)});
  }
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto& argument = wanted[i + 1];
    auto misfit = find_misfit(arguments[i], *argument.type());
    if (!misfit && !arguments[i].type<c10::DynamicType>()->isSubtypeOf(*argument.type())) {
      misfit = " is " + describe(arguments[i]);
    }
    if (misfit) {
      fail(
          {"input ",
           std::to_string(i),
           *misfit,
           ", the parameter ",
           argument.name(),
           " takes ",
           describe_type(*argument.type()),
           describe_call(method, arguments)});
    }
  }
}

#ifdef SYMBOLICATE_MOBILE_DEBUG_HANDLE
// With the line of the model's source in errors.
c10::IValue run(
    const Module&, const Method& method, const std::vector<c10::IValue>& arguments) {
  return method(arguments);
}
#else
// The function itself: upstream's method asks observers, which no app can register.
c10::IValue run(
    const Module& module, const Method& method, const std::vector<c10::IValue>& arguments) {
  std::vector<c10::IValue> stack;
  stack.reserve(arguments.size() + 1);
  stack.emplace_back(module._ivalue());
  stack.insert(stack.end(), arguments.begin(), arguments.end());
  method.function().run(stack);
  return std::move(stack.front());
}
#endif

std::string describe_subject(const at::Tensor& tensor, const std::vector<c10::IValue>& arguments) {
  for (size_t i = 0; i < arguments.size(); i++) {
    if (arguments[i].isTensor() && arguments[i].toTensor().is_same(tensor)) {
      return join({"input ", std::to_string(i), " "});
    }
  }
  return join({"a tensor inside the model, ", describe_tensor(tensor), ", "});
}

// No kernel: a runtime may have none for the dtype.
at::Tensor copy_bytes(const at::Tensor& tensor) {
  const size_t size = tensor.nbytes();
  c10::DataPtr data = c10::GetCPUAllocator()->allocate(size);
  if (size > 0) {
    std::memcpy(data.get(), tensor.const_data_ptr(), size);
  }
  auto copy = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data)), tensor.key_set(), tensor.dtype());
  copy.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides());
  return copy;
}

// Makes results the caller's own: a later call may write to, resize or free what the model still holds.
class Owner {
 public:
  // Refuses what run time nested too deeply, or what shares values beyond all bounds. `holders`: references to the value
  // that are the result's own; 0 where others hold what it is in.
  c10::IValue own(const c10::IValue& value, size_t holders, int above) {
    if (above > verifier::max_depth || left_ == 0) {
      fail({"the result of the model is nested too deeply, or has too many values"});
    }
    left_--;
    if (value.isTensor()) {
      return own_tensor(value.toTensor(), holders);
    }
    const size_t inner = value.use_count() > holders ? 0 : 1;
    if (value.isTuple()) {
      std::vector<c10::IValue> items;
      for (const auto& item : value.toTupleRef().elements()) {
        items.push_back(own(item, inner, above + 1));
      }
      return c10::ivalue::Tuple::create(std::move(items));
    }
    if (value.isList()) {
      c10::impl::GenericList list(value.toList().elementType());
      for (const auto& item : value.toListRef()) {
        list.push_back(own(item, inner, above + 1));
      }
      return list;
    }
    if (value.isGenericDict()) {
      const auto held = value.toGenericDict();
      c10::impl::GenericDict dict(held.keyType(), held.valueType());
      for (const auto& entry : held) {
        const c10::IValue item = entry.value(); // one more reference
        dict.insert(own(entry.key(), 2 * inner, above + 1), own(item, 2 * inner, above + 1));
      }
      return dict;
    }
    return value;
  }

 private:
  // Neither C nor Java gets a quantised tensor; those of other devices are copied when they are handed out.
  at::Tensor own_tensor(const at::Tensor& tensor, size_t holders) {
    if (!tensor.defined() || !tensor.has_storage() || tensor.is_quantized() ||
        (tensor.use_count() <= holders && tensor.storage().use_count() == 1)) {
      return tensor;
    }
    auto& copy = copies_[reinterpret_cast<uintptr_t>(tensor.unsafeGetTensorImpl())];
    if (!copy.defined()) {
      // contiguous() gives an empty tensor back as it is, whatever its strides are.
      const bool as_it_is = tensor.is_non_overlapping_and_dense() || tensor.is_contiguous();
      copy = as_it_is ? copy_bytes(tensor) : tensor.contiguous();
    }
    return copy;
  }

  size_t left_ = max_values;
  // A result may hold one tensor a million times.
  std::unordered_map<uintptr_t, at::Tensor> copies_; // by the address of the tensor, as the kernels of others have one
};

} // namespace

c10::IValue call_method(
    const Module& module, const Method& method, const std::vector<c10::IValue>& arguments) {
  c10::InferenceMode guard;
  const Running running;
  check_arguments(method, arguments);
  try {
    c10::IValue result = run(module, method, arguments);
    return Owner().own(result, 1, 0);
  } catch (const Unfit& unfit) {
    fail({describe_subject(unfit.tensor, arguments), unfit.what(), describe_call(method, arguments)});
  } catch (const c10::Error& error) {
    fail({explain(error), describe_call(method, arguments)});
  }
}

#endif // the core's own calls are in core/calling.cpp

namespace {

// XNNPACK's operators hold the pool by its address, and changing the number of threads frees it.
std::mutex pool_mutex;
std::condition_variable pool_changes;
int calls_running = 0;
bool is_pool_changing = false; // calls wait to begin, so that they cannot hold up a change for ever
thread_local bool is_running = false;

// A change of the threads waits for the call around a log function, and a call in the log function for the change.
void refuse_in_log() {
  if (is_running) {
    fail({"a log function cannot load or call a model, or change the number of threads"});
  }
}

} // namespace

Running::Running() {
  refuse_in_log();
  std::unique_lock<std::mutex> lock(pool_mutex);
  pool_changes.wait(lock, [] { return !is_pool_changing; });
  is_running = true;
  calls_running++;
  begin_keeping_pages();
}

Running::~Running() {
  end_keeping_pages();
  const std::lock_guard<std::mutex> lock(pool_mutex);
  is_running = false;
  calls_running--;
  if (is_pool_changing) {
    pool_changes.notify_all();
  }
}

void set_spinning(bool on) {
#ifndef __APPLE__
  static const uint32_t at_first = pthreadpool_spins.load();
  pthreadpool_spins.store(on ? at_first : 0);
#endif
}

void set_threads(int threads) {
  // A pool waits for threads that the system did not give it.
  const auto most = static_cast<int>(std::max(64U, 4 * std::thread::hardware_concurrency()));
  if (threads > most) {
    fail(
        {"a runtime on this device takes at most ",
         std::to_string(most),
         " threads, not ",
         std::to_string(threads)});
  }
  if (threads <= 0) {
    return;
  }
  refuse_in_log();
  std::unique_lock<std::mutex> lock(pool_mutex);
  pool_changes.wait(lock, [] { return !is_pool_changing; });
  is_pool_changing = true;
  pool_changes.wait(lock, [] { return calls_running == 0; });
  try {
    // The first call makes the pool. Without it, all threads of the default number would start, only to be ended.
    caffe2::pthreadpool(static_cast<size_t>(threads));
    at::set_num_threads(threads);
  } catch (...) {
    is_pool_changing = false;
    pool_changes.notify_all();
    throw;
  }
  is_pool_changing = false;
  pool_changes.notify_all();
}

} // namespace torchlite
