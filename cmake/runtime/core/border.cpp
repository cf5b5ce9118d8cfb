#include "border.h"

#include "any_value.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cstring>

namespace torchlite {
namespace {

constexpr int max_dims = 64; // as the kernels' iterators have
constexpr int max_depth = 64;
constexpr size_t max_items = 1 << 24;

bool is_supported(int dtype) {
  return (dtype >= TORCHLITE_UINT8 && dtype <= TORCHLITE_FLOAT64) || dtype == TORCHLITE_BOOL;
}

const char* find_fault(const torchlite_tensor& tensor) {
  if (!is_supported(tensor.dtype)) {
    return "the tensor has an unknown dtype";
  }
  if (tensor.dims < 0 || (tensor.dims > 0 && tensor.sizes == nullptr)) {
    return "the tensor has no sizes, or a negative number of dimensions";
  }
  if (tensor.dims > max_dims) {
    return "the tensor has more than 64 dimensions";
  }
  int64_t elements = 1;
  bool empty = false;
  for (int32_t i = 0; i < tensor.dims; i++) {
    // Strides are computed of a tensor without elements too, as if it had one.
    const int64_t size = std::max<int64_t>(tensor.sizes[i], 1);
    if (tensor.sizes[i] < 0 || __builtin_mul_overflow(elements, size, &elements)) {
      return "a size of the tensor is negative or too large";
    }
    empty |= tensor.sizes[i] == 0;
  }
  int64_t bytes = 0;
  const auto width = c10::elementSize(static_cast<at::ScalarType>(tensor.dtype));
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(width), &bytes)) {
    return "a size of the tensor is negative or too large";
  }
  return !empty && tensor.data == nullptr ? "the tensor has no data" : nullptr;
}

template <typename T, typename Held = T>
Value to_list(const torchlite_tensor& tensor, TypeKind kind) {
  const auto* data = static_cast<const Held*>(tensor.data);
  auto list = c10::make_intrusive<List>(plain_type(kind));
  for (int64_t i = 0; i < tensor.sizes[0]; i++) {
    list->items.emplace_back(static_cast<T>(data[i]));
  }
  return list;
}

void check_dtype(const torchlite_tensor& tensor, int wanted, const char* what) {
  if (tensor.dtype != wanted) {
    throw Failure(TORCHLITE_RUN_FAILED, what);
  }
}

bool is_kind(const Type* type, TypeKind kind) {
  return type != nullptr && type->kind == kind;
}

// Of the items of a group: what the method's schema says, where it has one.
TypePtr item_type(const Type* group, torchlite_kind kind, size_t index) {
  switch (kind) {
    case TORCHLITE_VALUE_LIST:
      return contained_type(group, TypeKind::List, 0);
    case TORCHLITE_VALUE_DICT:
      return contained_type(group, TypeKind::Dict, 1);
    default:
      return contained_type(group, TypeKind::Tuple, index);
  }
}

[[noreturn]] void refuse(const char* why) {
  throw Failure(TORCHLITE_INVALID_ARGUMENT, why);
}

[[noreturn]] void refuse_output(std::string what) {
  throw Failure(TORCHLITE_UNSUPPORTED_OUTPUT, std::move(what));
}

} // namespace

void check_count(size_t count) {
  if (count > max_items) {
    refuse("there are more than 16,777,216 items");
  }
}

Value Inputs::read(const torchlite_value& value, TypePtr wanted, int above) {
  if (above > max_depth) {
    refuse("values are nested more than 64 deep");
  }
  if (is_kind(wanted.get(), TypeKind::Optional)) {
    wanted = TypePtr(wanted->inner[0]);
  }
  switch (value.kind) {
    case TORCHLITE_VALUE_NONE:
      return {};
    case TORCHLITE_VALUE_TENSOR:
      return read_tensor(value.as.tensor, wanted.get());
    case TORCHLITE_VALUE_CHANNELS_LAST:
      return read_channels_last(value.as.tensor);
    case TORCHLITE_VALUE_BOOL:
      return value.as.integer != 0;
    case TORCHLITE_VALUE_INT:
      if (is_kind(wanted.get(), TypeKind::Float)) {
        return static_cast<double>(value.as.integer);
      }
      return value.as.integer;
    case TORCHLITE_VALUE_FLOAT:
      return value.as.real;
    case TORCHLITE_VALUE_STRING:
      if (value.as.text == nullptr) {
        refuse("the string is null");
      }
      return std::string(value.as.text);
    case TORCHLITE_VALUE_LIST:
    case TORCHLITE_VALUE_TUPLE:
    case TORCHLITE_VALUE_DICT:
      return read_group(value, wanted.get(), above);
  }
  refuse("the value has an unknown kind");
}

at::Tensor Inputs::borrow(const torchlite_tensor& tensor) {
  const at::IntArrayRef sizes(tensor.sizes, static_cast<size_t>(tensor.dims));
  const auto dtype = c10::scalarTypeToTypeMeta(static_cast<at::ScalarType>(tensor.dtype));
  const auto bytes = static_cast<size_t>(c10::multiply_integers(sizes)) * dtype.itemsize();
  c10::DataPtr data(const_cast<void*>(tensor.data), c10::DeviceType::CPU);
  borrowed_.emplace_back(c10::Storage::use_byte_size_t(), bytes, std::move(data));
  auto lent = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(borrowed_.back()), c10::DispatchKeySet(c10::DispatchKey::CPU), dtype);
  lent.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return lent;
}

void Inputs::give_back() {
  for (auto& storage : borrowed_) {
    if (storage.use_count() > 1) {
      // Every tensor on this storage, views included, sees the copy.
      const size_t size = storage.nbytes();
      c10::DataPtr copy = c10::GetCPUAllocator()->allocate(size);
      if (size > 0) {
        std::memcpy(copy.get(), storage.data(), size);
      }
      storage.set_data_ptr_noswap(std::move(copy));
    }
    storage = {};
  }
  borrowed_.clear();
}

Inputs::~Inputs() {
  try {
    give_back();
  } catch (...) {
    // There is no memory for a copy: what the model has kept has no data, not the caller's.
    is_lost_ = true;
    for (auto& storage : borrowed_) {
      if (storage) {
        storage.set_nbytes(0);
        storage.set_data_ptr_noswap(c10::DataPtr(nullptr, c10::DeviceType::CPU));
      }
    }
  }
}

Value Inputs::to_number(const torchlite_tensor& tensor, TypeKind kind) {
  switch (kind) {
    case TypeKind::Int:
      check_dtype(tensor, TORCHLITE_INT64, "an int parameter takes a tensor of int64");
      return *static_cast<const int64_t*>(tensor.data);
    case TypeKind::Float:
      check_dtype(tensor, TORCHLITE_FLOAT64, "a float parameter takes a tensor of float64");
      return *static_cast<const double*>(tensor.data);
    case TypeKind::Bool:
      check_dtype(tensor, TORCHLITE_BOOL, "a bool parameter takes a tensor of bool");
      return *static_cast<const uint8_t*>(tensor.data) != 0;
    default:
      return borrow(tensor);
  }
}

Value Inputs::to_numbers(const torchlite_tensor& tensor, TypeKind kind) {
  switch (kind) {
    case TypeKind::Int:
      check_dtype(tensor, TORCHLITE_INT64, "a parameter that is a list of ints takes a tensor of int64");
      return to_list<int64_t>(tensor, kind);
    case TypeKind::Float:
      check_dtype(tensor, TORCHLITE_FLOAT64, "a parameter that is a list of floats takes a tensor of float64");
      return to_list<double>(tensor, kind);
    case TypeKind::Bool:
      check_dtype(tensor, TORCHLITE_BOOL, "a parameter that is a list of bools takes a tensor of bool");
      return to_list<bool, uint8_t>(tensor, kind);
    default:
      return borrow(tensor);
  }
}

// Where the parameter wants a number or a list of numbers, a tensor of no or one dimension is one.
Value Inputs::read_tensor(const torchlite_tensor& tensor, const Type* wanted) {
  if (const char* fault = find_fault(tensor)) {
    refuse(fault);
  }
  if (wanted != nullptr && tensor.dims == 0) {
    return to_number(tensor, wanted->kind);
  }
  if (tensor.dims == 1 && is_kind(wanted, TypeKind::List)) {
    return to_numbers(tensor, wanted->inner[0]->kind);
  }
  return borrow(tensor);
}

at::Tensor Inputs::read_channels_last(const torchlite_tensor& tensor) {
  if (const char* fault = find_fault(tensor)) {
    refuse(fault);
  }
  if (tensor.dims != 4 && tensor.dims != 5) {
    refuse("a tensor whose channels come last has 4 or 5 dimensions");
  }
  at::Tensor lent = borrow(tensor);
  if (lent.numel() > 0) { // strides of an empty one could overflow
    const auto sizes = lent.sizes();
    lent.unsafeGetTensorImpl()->set_sizes_and_strides(
        sizes, tensor.dims == 4 ? c10::get_channels_last_strides_2d(sizes) : c10::get_channels_last_strides_3d(sizes));
  }
  return lent;
}

Value Inputs::read_group(
    const torchlite_value& value, const Type* wanted, int above) {
  const auto& group = value.as.group;
  check_count(group.count);
  const bool is_dict = value.kind == TORCHLITE_VALUE_DICT;
  if (group.count > 0 && (group.items == nullptr || (is_dict && group.keys == nullptr))) {
    refuse("the items or the keys are null");
  }
  std::vector<Value> items;
  for (size_t i = 0; i < group.count; i++) {
    items.push_back(read(group.items[i], item_type(wanted, value.kind, i), above + 1));
  }
  if (value.kind == TORCHLITE_VALUE_TUPLE) {
    return c10::make_intrusive<Tuple>(std::move(items));
  }
  const auto type = element_type(item_type(wanted, value.kind, 0), items);
  if (!is_dict) {
    return c10::make_intrusive<List>(type, std::move(items));
  }
  auto dict = c10::make_intrusive<Dict>(plain_type(TypeKind::String), type);
  for (size_t i = 0; i < group.count; i++) {
    if (group.keys[i] == nullptr) {
      refuse("a key of the dict is null");
    }
    dict->set(std::string(group.keys[i]), std::move(items[i]));
  }
  return dict;
}

void Outputs::set(const Value& value, bool flat) {
  value_ = describe(value);
  flatten(value_, flat);
}

torchlite_value Outputs::describe(const Value& value) {
  torchlite_value told{};
  switch (value.tag()) {
    case Tag::None:
      break;
    case Tag::Tensor:
      told.kind = TORCHLITE_VALUE_TENSOR;
      told.as.tensor = describe_tensor(value.to_tensor());
      break;
    case Tag::Tuple:
      return describe_group(TORCHLITE_VALUE_TUPLE, value.to_tuple().items);
    case Tag::List:
      return describe_group(TORCHLITE_VALUE_LIST, value.to_list().items);
    case Tag::Dict:
      return describe_dict(value);
    case Tag::Bool:
      told.kind = TORCHLITE_VALUE_BOOL;
      told.as.integer = value.to_bool() ? 1 : 0;
      break;
    case Tag::Int:
      told.kind = TORCHLITE_VALUE_INT;
      told.as.integer = value.to_int();
      break;
    case Tag::Float:
      told.kind = TORCHLITE_VALUE_FLOAT;
      told.as.real = value.to_float();
      break;
    case Tag::String:
      told.kind = TORCHLITE_VALUE_STRING;
      told.as.text = keep(value);
      break;
    case Tag::Device:
    case Tag::Object:
      refuse_output("an output is of a kind that cannot be returned: " + name_of_kind(value));
  }
  return told;
}

torchlite_tensor Outputs::describe_tensor(const at::Tensor& given) {
  if (!is_supported(static_cast<int>(given.scalar_type()))) {
    refuse_output(
        std::string("an output has a dtype that cannot be returned: ") + c10::toString(given.scalar_type()));
  }
  at::Tensor tensor = given.contiguous();
  tensors_.push_back(tensor);
  return {
      static_cast<torchlite_dtype>(tensor.scalar_type()),
      static_cast<int32_t>(tensor.dim()),
      tensor.sizes().data(),
      tensor.const_data_ptr()};
}

torchlite_value Outputs::describe_group(torchlite_kind kind, const std::vector<Value>& items) {
  auto* told = items_.emplace_back(new torchlite_value[items.size()]).get();
  for (size_t i = 0; i < items.size(); i++) {
    told[i] = describe(items[i]);
  }
  torchlite_value value{};
  value.kind = kind;
  value.as.group = {items.size(), told, nullptr};
  return value;
}

torchlite_value Outputs::describe_dict(const Value& value) {
  std::vector<Value> items;
  const Dict& dict = value.to_dict();
  const auto& keys = keys_.emplace_back(new const char*[dict.size()]());
  bool are_texts = true; // bytecode can mix keys of any kinds
  for (const auto& [key, item] : dict.entries) {
    if (key.is(Tag::String)) {
      keys[items.size()] = keep(key);
    } else {
      are_texts = false;
    }
    items.push_back(item);
  }
  const char* const* shown = are_texts && !items.empty() ? keys.get() : nullptr;
  torchlite_value told = describe_group(TORCHLITE_VALUE_DICT, items);
  told.as.group.keys = shown;
  return told;
}

// Holding a string keeps its bytes: it is immutable, unlike the list or dict it came in.
const char* Outputs::keep(const Value& text) {
  texts_.push_back(text);
  return text.to_text().c_str();
}

// Numbers stay where they are: `value` outlives the leaves. The low byte of an integer comes first.
void Outputs::flatten(const torchlite_value& value, bool flat) {
  switch (value.kind) {
    case TORCHLITE_VALUE_NONE:
      break;
    case TORCHLITE_VALUE_TENSOR:
      leaves_.push_back(value.as.tensor);
      break;
    case TORCHLITE_VALUE_BOOL:
      leaves_.push_back({TORCHLITE_BOOL, 0, nullptr, &value.as.integer});
      break;
    case TORCHLITE_VALUE_INT:
      leaves_.push_back({TORCHLITE_INT64, 0, nullptr, &value.as.integer});
      break;
    case TORCHLITE_VALUE_FLOAT:
      leaves_.push_back({TORCHLITE_FLOAT64, 0, nullptr, &value.as.real});
      break;
    case TORCHLITE_VALUE_STRING:
      if (flat) {
        refuse_output("an output is a string, which only torchlite_run_values() returns");
      }
      break;
    default:
      for (size_t i = 0; i < value.as.group.count; i++) {
        flatten(value.as.group.items[i], flat);
      }
  }
}

} // namespace torchlite
