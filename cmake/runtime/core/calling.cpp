// Calling methods: arguments are held against the signature first, and errors say what was given.

#include "lite_module.h"

#include "../refusal.h"
#include "../verifier/fault.h"

#include <c10/core/CPUAllocator.h>

#include <cstring>
#include <optional>
#include <unordered_map>

namespace torchlite {

namespace {

// What an app can walk through, and hold.
constexpr size_t max_values = 1 << 22;

} // namespace

// The first argument is the module itself.
std::string describe_method(const Method& method) {
  std::string text = method.name();
  const Function& function = method.function();
  if (!function.has_signature) {
    return text;
  }
  text += "(";
  for (size_t i = 1; i < function.parameters.size(); i++) {
    const auto& one = function.parameters[i];
    text += join({i == 1 ? "" : ", ", describe(*one.type), " ", one.name});
  }
  text += ")";
  for (const auto& one : function.results) {
    text += " -> " + describe(*one);
  }
  return text;
}

// Files have None as the default of a parameter without one.
bool has_default(const Parameter& parameter) {
  return parameter.type->kind == TypeKind::Optional || !parameter.otherwise.is_none();
}

namespace {

std::string describe_call(const Method& method, const std::vector<Value>& arguments) {
  std::string given;
  for (const auto& argument : arguments) {
    given += join({given.empty() ? "" : ", ", describe(argument)});
  }
  return join({"; the method is ", describe_method(method), ", this call passes (", given, ")"});
}

// Where a value does not fit a type, and what stands there: ", item 0 is float". A list and a dict have the type that the
// caller or the signature gave them, whatever is in them.
std::optional<std::string> find_misfit(const Value& value, const Type& wanted) {
  const auto inside = [](const char* what, size_t index, std::optional<std::string> found) {
    return found ? std::optional(join({", ", what, " ", std::to_string(index), *found})) : found;
  };
  size_t index = 0;
  switch (wanted.kind) {
    case TypeKind::Optional:
      return value.is_none() ? std::nullopt : find_misfit(value, *wanted.inner[0]);
    case TypeKind::List:
      if (value.is(Tag::List)) {
        for (const auto& item : value.to_list().items) {
          if (auto found = inside("item", index++, find_misfit(item, *wanted.inner[0]))) {
            return found;
          }
        }
        return std::nullopt;
      }
      break;
    case TypeKind::Dict:
      if (value.is(Tag::Dict)) {
        for (const auto& [key, item] : value.to_dict().entries) {
          if (auto found = inside("key", index, find_misfit(key, *wanted.inner[0]))) {
            return found;
          }
          if (auto found = inside("value", index++, find_misfit(item, *wanted.inner[1]))) {
            return found;
          }
        }
        return std::nullopt;
      }
      break;
    case TypeKind::Tuple:
      if (value.is(Tag::Tuple) && value.to_tuple().items.size() == wanted.inner.size()) {
        for (const auto& item : value.to_tuple().items) {
          if (auto found = inside("item", index, find_misfit(item, *wanted.inner[index]))) {
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
  return is_subtype(*type_of(value), wanted) ? std::nullopt : std::optional(" is " + describe(value));
}

void check_arguments(const Method& method, const std::vector<Value>& arguments) {
  const Function& function = method.function();
  if (!function.has_signature) {
    return;
  }
  const auto& wanted = function.parameters;
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
    const auto& parameter = wanted[i + 1];
    auto misfit = find_misfit(arguments[i], *parameter.type);
    if (!misfit && !is_subtype(*type_of(arguments[i]), *parameter.type)) {
      misfit = " is " + describe(arguments[i]);
    }
    if (misfit) {
      fail(
          {"input ",
           std::to_string(i),
           *misfit,
           ", the parameter ",
           parameter.name,
           " takes ",
           describe(*parameter.type),
           describe_call(method, arguments)});
    }
  }
}

Value run(const Module& module, const Function& function, const std::vector<Value>& arguments) {
  Stack stack;
  stack.reserve(arguments.size() + 1);
  stack.push_back(module.object());
  stack.insert(stack.end(), arguments.begin(), arguments.end());
  for (size_t i = stack.size(); function.has_signature && i < function.parameters.size(); i++) {
    stack.push_back(function.parameters[i].otherwise);
  }
  interpret(module.program(), function, stack);
  return std::move(stack.front());
}

std::string describe_subject(const at::Tensor& tensor, const std::vector<Value>& arguments) {
  for (size_t i = 0; i < arguments.size(); i++) {
    if (arguments[i].is(Tag::Tensor) && arguments[i].to_tensor().is_same(tensor)) {
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
  // Refuses what run time nested too deeply, or what shares values beyond all bounds. `is_held`: whether others than the
  // result hold what the value is in.
  Value own(const Value& value, bool is_held, int above) {
    if (above > verifier::max_depth || left_ == 0) {
      fail({"the result of the model is nested too deeply, or has too many values"});
    }
    left_--;
    is_held = is_held || value.uses() > 1;
    switch (value.tag()) {
      case Tag::Tensor:
        return own_tensor(value, is_held);
      case Tag::Tuple: {
        const Tuple& held = value.to_tuple();
        return c10::make_intrusive<Tuple>(own_items(held.items, is_held, above), held.type);
      }
      case Tag::List: {
        const List& held = value.to_list();
        return c10::make_intrusive<List>(held.item, own_items(held.items, is_held, above));
      }
      case Tag::Dict: {
        const Dict& held = value.to_dict();
        auto dict = c10::make_intrusive<Dict>(held.key, held.item);
        for (const auto& [key, item] : held.entries) {
          dict->set(key, own(item, is_held, above + 1));
        }
        return dict;
      }
      default:
        return value;
    }
  }

 private:
  std::vector<Value> own_items(const std::vector<Value>& items, bool is_held, int above) {
    std::vector<Value> owned;
    for (const auto& item : items) {
      owned.push_back(own(item, is_held, above + 1));
    }
    return owned;
  }

  // Neither C nor Java gets a quantised tensor.
  Value own_tensor(const Value& value, bool is_held) {
    const at::Tensor tensor = value.to_tensor();
    if (!tensor.defined() || !tensor.has_storage() || tensor.is_quantized() ||
        (!is_held && tensor.storage().use_count() == 1)) {
      return value;
    }
    auto& copy = copies_[value.identity()];
    if (!copy.defined()) {
      // contiguous() gives an empty tensor back as it is, whatever its strides are.
      const bool as_it_is = tensor.is_non_overlapping_and_dense() || tensor.is_contiguous();
      copy = as_it_is ? copy_bytes(tensor) : tensor.contiguous();
    }
    return copy;
  }

  size_t left_ = max_values;
  // A result may hold one tensor a million times.
  std::unordered_map<const void*, at::Tensor> copies_;
};

} // namespace

Value call_method(const Module& module, const Method& method, const std::vector<Value>& arguments) {
  c10::InferenceMode guard;
  const Running running;
  check_arguments(method, arguments);
  try {
    const Value result = run(module, method.function(), arguments);
    return Owner().own(result, false, 0);
  } catch (const Unfit& unfit) {
    fail({describe_subject(unfit.tensor, arguments), unfit.what(), describe_call(method, arguments)});
  } catch (const c10::Error& error) {
    fail({explain(error), describe_call(method, arguments)});
  }
}

} // namespace torchlite
