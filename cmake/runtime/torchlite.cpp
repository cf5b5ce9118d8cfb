// The C API of torchlite.h over the lite interpreter.

#include "torchlite.h"

#include "lite_module.h"
#include "selected_operators.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/jit/mobile/prim_ops_registery.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace at::detail {
#ifdef __APPLE__
const Generator& getDefaultCPUGenerator(); // Mach-O links nothing that may be missing.
#else
// Weak: a runtime whose operators draw no random numbers links no generator.
const Generator& getDefaultCPUGenerator() __attribute__((weak));
#endif
} // namespace at::detail

struct torchlite_module {
  torchlite::Module module;
};

struct torchlite_result {
  std::vector<at::Tensor> tensors;
};

namespace {

thread_local std::string last_error;

using torchlite::kind_of;

class UnsupportedOutput : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

torchlite_status fail(torchlite_status status, const std::string& text) {
  last_error = text;
  return status;
}

template <typename Body>
torchlite_status guarded(torchlite_status on_error, Body&& body) noexcept {
  try {
    last_error.clear();
    return body();
  } catch (const UnsupportedOutput& error) {
    return fail(TORCHLITE_UNSUPPORTED_OUTPUT, error.what());
  } catch (const c10::Error& error) {
    return fail(on_error, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return fail(on_error, error.what());
  } catch (...) {
    return fail(on_error, "unknown error");
  }
}

bool is_supported(int dtype) {
  return (dtype >= TORCHLITE_UINT8 && dtype <= TORCHLITE_FLOAT64) || dtype == TORCHLITE_BOOL;
}

const char* find_fault(const torchlite_tensor& tensor) {
  if (!is_supported(tensor.dtype)) {
    return "unknown dtype";
  }
  if (tensor.dims < 0 || (tensor.dims > 0 && tensor.sizes == nullptr)) {
    return "no sizes";
  }
  int64_t elements = 1;
  for (int32_t i = 0; i < tensor.dims; i++) {
    if (tensor.sizes[i] < 0 || __builtin_mul_overflow(elements, tensor.sizes[i], &elements)) {
      return "negative or overflowing size";
    }
  }
  return elements > 0 && tensor.data == nullptr ? "no data" : nullptr;
}

at::Tensor borrow(const torchlite_tensor& tensor) {
  return at::from_blob(
      const_cast<void*>(tensor.data),
      at::IntArrayRef(tensor.sizes, static_cast<size_t>(tensor.dims)),
      at::TensorOptions().dtype(static_cast<at::ScalarType>(tensor.dtype)));
}

template <typename T, typename Held = T>
c10::List<T> to_list(const torchlite_tensor& tensor) {
  const auto* data = static_cast<const Held*>(tensor.data);
  c10::List<T> list;
  for (int64_t i = 0; i < tensor.sizes[0]; i++) {
    list.push_back(static_cast<T>(data[i]));
  }
  return list;
}

void check_dtype(const torchlite_tensor& tensor, int wanted, const char* what) {
  TORCH_CHECK(tensor.dtype == wanted, what);
}

c10::IValue to_number(const torchlite_tensor& tensor, c10::TypeKind kind) {
  switch (kind) {
    case c10::TypeKind::IntType:
      check_dtype(tensor, TORCHLITE_INT64, "an int parameter takes an int64");
      return *static_cast<const int64_t*>(tensor.data);
    case c10::TypeKind::FloatType:
      check_dtype(tensor, TORCHLITE_FLOAT64, "a float parameter takes a float64");
      return *static_cast<const double*>(tensor.data);
    case c10::TypeKind::BoolType:
      check_dtype(tensor, TORCHLITE_BOOL, "a bool parameter takes a bool");
      return *static_cast<const uint8_t*>(tensor.data) != 0;
    default:
      return borrow(tensor);
  }
}

c10::IValue to_numbers(const torchlite_tensor& tensor, c10::TypeKind kind) {
  switch (kind) {
    case c10::TypeKind::IntType:
      check_dtype(tensor, TORCHLITE_INT64, "a parameter of ints takes int64");
      return to_list<int64_t>(tensor);
    case c10::TypeKind::FloatType:
      check_dtype(tensor, TORCHLITE_FLOAT64, "a parameter of floats takes float64");
      return to_list<double>(tensor);
    case c10::TypeKind::BoolType:
      check_dtype(tensor, TORCHLITE_BOOL, "a parameter of bools takes bool");
      return to_list<bool, uint8_t>(tensor);
    default:
      return borrow(tensor);
  }
}

// Where the parameter wants a number or a list of numbers, a tensor of no or one dimension is one.
c10::IValue to_argument(const torchlite_tensor& tensor, c10::TypePtr wanted) {
  if (wanted != nullptr && kind_of(*wanted) == c10::TypeKind::OptionalType) {
    wanted = wanted->containedType(0);
  }
  if (wanted != nullptr && tensor.dims == 0) {
    return to_number(tensor, kind_of(*wanted));
  }
  if (wanted != nullptr && tensor.dims == 1 && kind_of(*wanted) == c10::TypeKind::ListType) {
    return to_numbers(tensor, kind_of(*wanted->containedType(0)));
  }
  return borrow(tensor);
}

template <typename T>
at::Tensor number(T value, at::ScalarType type) {
  return at::from_blob(&value, {}, at::TensorOptions().dtype(type)).clone();
}

// Memory of the caller ends with the call, so what still points into it is copied.
bool points_into(const at::Tensor& tensor, const torchlite_tensor* inputs, size_t count) {
  const auto* data = static_cast<const char*>(tensor.data_ptr());
  for (size_t i = 0; i < count; i++) {
    const auto* begin = static_cast<const char*>(inputs[i].data);
    const at::Tensor input = borrow(inputs[i]);
    if (begin != nullptr && data >= begin && data < begin + input.nbytes()) {
      return true;
    }
  }
  return false;
}

void flatten(const c10::IValue& value, std::vector<at::Tensor>& out) {
  if (value.isTensor()) {
    out.push_back(value.toTensor());
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) {
      flatten(element, out);
    }
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) {
      flatten(element, out);
    }
  } else if (value.isGenericDict()) {
    for (const auto& item : value.toGenericDict()) {
      flatten(item.value(), out);
    }
  } else if (value.isBool()) {
    out.push_back(number<bool>(value.toBool(), at::kBool));
  } else if (value.isInt()) {
    out.push_back(number<int64_t>(value.toInt(), at::kLong));
  } else if (value.isDouble()) {
    out.push_back(number<double>(value.toDouble(), at::kDouble));
  } else if (!value.isNone()) {
    throw UnsupportedOutput("an output is neither a tensor nor a number: " + value.tagKind());
  }
}

void own_outputs(std::vector<at::Tensor>& tensors, const torchlite_tensor* inputs, size_t count) {
  for (auto& tensor : tensors) {
    if (!is_supported(static_cast<int>(tensor.scalar_type()))) {
      throw UnsupportedOutput(
          std::string("an output has a dtype without a code: ") + c10::toString(tensor.scalar_type()));
    }
    tensor = tensor.contiguous();
    if (points_into(tensor, inputs, count)) {
      tensor = tensor.clone();
    }
  }
}

std::vector<c10::IValue> to_arguments(
    const torchlite::Method& method,
    const torchlite_tensor* inputs,
    size_t count) {
  std::vector<c10::IValue> arguments;
  const auto& function = method.function();
  for (size_t i = 0; i < count; i++) {
    c10::TypePtr wanted;
    if (function.hasSchema() && i + 1 < function.getSchema().arguments().size()) {
      wanted = function.getSchema().arguments()[i + 1].type();
    }
    arguments.push_back(to_argument(inputs[i], wanted));
  }
  return arguments;
}

torchlite_status run(
    torchlite_module* module,
    const char* name,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result) {
  c10::InferenceMode guard;
  const auto method = module->module.find_method(name);
  TORCH_CHECK(method.has_value(), "the model has no method '", name, "'");
  auto made = std::make_unique<torchlite_result>();
  flatten((*method)(to_arguments(*method, inputs, count)), made->tensors);
  own_outputs(made->tensors, inputs, count);
  *result = made.release();
  return TORCHLITE_OK;
}

// The lookup order of the lite interpreter (torch/csrc/jit/mobile/function.cpp).
bool is_served(const std::string& operator_name) {
  const size_t dot = operator_name.find('.');
  const c10::OperatorName name(
      operator_name.substr(0, dot),
      dot == std::string::npos ? std::string() : operator_name.substr(dot + 1));
  return torch::jit::mobile::hasPrimOpsFn(operator_name) ||
      torch::jit::findOperatorFor(name) != nullptr ||
      c10::Dispatcher::singleton().findSchema(name).has_value();
}

std::vector<const char*> collect_operators() {
  std::vector<const char*> names;
  for (const char* const* name = torchlite::selected_operators; *name != nullptr; name++) {
    if (is_served(*name)) {
      names.push_back(*name);
    }
  }
  names.push_back(nullptr);
  return names;
}

} // namespace

extern "C" {

torchlite_status torchlite_load(const char* path, torchlite_module** module) {
  if (path == nullptr || module == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load: null argument");
  }
  return guarded(TORCHLITE_LOAD_FAILED, [&] {
    *module = new torchlite_module{torchlite::load_module(path)};
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_load_buffer(const void* data, size_t size, torchlite_module** module) {
  if (data == nullptr || module == nullptr) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_load_buffer: null argument");
  }
  return guarded(TORCHLITE_LOAD_FAILED, [&] {
    *module = new torchlite_module{torchlite::load_module(data, size)};
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_run_method(
    torchlite_module* module,
    const char* method,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result) {
  if (module == nullptr || method == nullptr || result == nullptr || (count > 0 && inputs == nullptr)) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_run_method: null argument");
  }
  for (size_t i = 0; i < count; i++) {
    if (const char* fault = find_fault(inputs[i])) {
      return fail(TORCHLITE_INVALID_ARGUMENT, "input " + std::to_string(i) + ": " + fault);
    }
  }
  return guarded(TORCHLITE_RUN_FAILED, [&] { return run(module, method, inputs, count, result); });
}

torchlite_status torchlite_forward(
    torchlite_module* module,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result) {
  return torchlite_run_method(module, "forward", inputs, count, result);
}

size_t torchlite_result_count(const torchlite_result* result) {
  return result == nullptr ? 0 : result->tensors.size();
}

torchlite_status
torchlite_result_tensor(const torchlite_result* result, size_t index, torchlite_tensor* tensor) {
  if (result == nullptr || tensor == nullptr || index >= result->tensors.size()) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_result_tensor: no such output");
  }
  const at::Tensor& output = result->tensors[index];
  tensor->dtype = static_cast<torchlite_dtype>(output.scalar_type());
  tensor->dims = static_cast<int32_t>(output.dim());
  tensor->sizes = output.sizes().data();
  tensor->data = output.const_data_ptr();
  return TORCHLITE_OK;
}

void torchlite_result_free(torchlite_result* result) {
  delete result;
}

void torchlite_module_free(torchlite_module* module) {
  delete module;
}

const char* torchlite_error(void) {
  return last_error.c_str();
}

const char* const* torchlite_operators(size_t* count) {
  static const std::vector<const char*> names = collect_operators();
  if (count != nullptr) {
    *count = names.size() - 1;
  }
  return names.data();
}

const char* torchlite_version(void) {
  return TORCHLITE_PYTORCH_VERSION;
}

torchlite_status torchlite_set_threads(int32_t threads) {
  if (threads < 0) {
    return fail(TORCHLITE_INVALID_ARGUMENT, "torchlite_set_threads: negative");
  }
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
    if (threads > 0) {
      at::set_num_threads(threads);
    }
    return TORCHLITE_OK;
  });
}

torchlite_status torchlite_set_seed(uint64_t seed) {
  return guarded(TORCHLITE_INVALID_ARGUMENT, [&] {
#ifndef __APPLE__
    if (&at::detail::getDefaultCPUGenerator != nullptr)
#endif
    {
      at::Generator generator = at::detail::getDefaultCPUGenerator();
      const std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_current_seed(seed);
    }
    return TORCHLITE_OK;
  });
}

} // extern "C"
