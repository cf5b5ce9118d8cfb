// Builtins of TorchScript that instructions are as well, and texts of values.

#include "builtins.h"

#include "../refusal.h"
#include "../verifier/fault.h"

#include <c10/core/CPUAllocator.h>

#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace torchlite {

void refuse(std::initializer_list<std::string_view> parts) {
  C10_THROW_ERROR(Error, join(parts));
}

Value pop(Stack& stack) {
  Value top = std::move(stack.back());
  stack.pop_back();
  return top;
}

TORCHLITE_PROMOTED(tuple_index, "prim::TupleIndex", 2, 1) {
  const int64_t index = pop(stack).to_int();
  const Value tuple = pop(stack);
  const auto& items = tuple.to_tuple().items;
  const int64_t at = to_index(index, items.size());
  if (at < 0 || at >= static_cast<int64_t>(items.size())) {
    throw std::out_of_range("Tuple list index out of range");
  }
  stack.push_back(items[static_cast<size_t>(at)]);
}

// With the name of the exception's class, which only Python's runtime looks at.
TORCHLITE_PROMOTED(raise_exception, "prim::RaiseException", 2, 0) {
  stack.pop_back();
  fail({pop(stack).to_text()});
}

TORCHLITE_PROMOTED(unpack_tuple, "prim::TupleUnpack", 1, -1) {
  const Value tuple = pop(stack);
  const auto& items = tuple.to_tuple().items;
  stack.insert(stack.end(), items.begin(), items.end());
}

TORCHLITE_PROMOTED(is, "aten::__is__", 2, 1) {
  const Value right = pop(stack);
  stack.back() = stack.back().is_same(right);
}

TORCHLITE_PROMOTED(is_not, "aten::__isnot__", 2, 1) {
  const Value right = pop(stack);
  stack.back() = !stack.back().is_same(right);
}

TORCHLITE_PROMOTED(uninitialized, "prim::Uninitialized", 0, 1) {
  stack.emplace_back();
}

TORCHLITE_PROMOTED(unchecked_cast, "prim::unchecked_cast", 1, 1) {}

TORCHLITE_PROMOTED(device_of, "prim::device", 1, 1) {
  stack.back() = stack.back().to_tensor().device();
}

TORCHLITE_PROMOTED(dtype_of, "prim::dtype", 1, 1) {
  stack.back() = static_cast<int64_t>(stack.back().to_tensor().scalar_type());
}

TORCHLITE_PROMOTED(layout_of, "prim::layout", 1, 1) {
  stack.back() = static_cast<int64_t>(stack.back().to_tensor().layout());
}

TORCHLITE_PROMOTED(dim_of, "aten::dim", 1, 1) {
  stack.back() = stack.back().to_tensor().dim();
}

TORCHLITE_PROMOTED(is_cuda, "prim::is_cuda", 1, 1) {
  stack.back() = stack.back().to_tensor().is_cuda();
}

TORCHLITE_PROMOTED(negate, "aten::__not__", 1, 1) {
  stack.back() = !stack.back().to_bool();
}

TORCHLITE_PROMOTED(number_to_tensor, "prim::NumToTensor.Scalar", 1, 1) {
  stack.back() = to_tensor(stack.back().to_scalar());
}

TORCHLITE_PROMOTED(dict_index, "aten::__getitem__.Dict_str", 2, 1) {
  const Value key = pop(stack);
  const Value* found = stack.back().to_dict().find(key);
  if (found == nullptr) {
    refuse({"KeyError: ", to_string(key)});
  }
  stack.back() = Value(*found);
}

at::Tensor to_tensor(const c10::Scalar& number) {
  const at::ScalarType dtype = number.isFloatingPoint() ? at::kDouble : number.isBoolean() ? at::kBool : at::kLong;
  const size_t size = c10::elementSize(dtype);
  c10::DataPtr data = c10::GetCPUAllocator()->allocate(size);
  if (dtype == at::kDouble) {
    *static_cast<double*>(data.get()) = number.toDouble();
  } else if (dtype == at::kBool) {
    *static_cast<bool*>(data.get()) = number.to<bool>();
  } else {
    *static_cast<int64_t*>(data.get()) = number.to<int64_t>();
  }
  at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data)),
      c10::DispatchKeySet(c10::DispatchKey::CPU),
      c10::scalarTypeToTypeMeta(dtype));
  made.unsafeGetTensorImpl()->set_sizes_contiguous({});
  return made;
}

namespace {

struct Elements {
  const char* data;
  at::IntArrayRef sizes;
  at::IntArrayRef strides;
  at::ScalarType dtype;

  Value read(const char* at) const {
    switch (dtype) {
      case at::kLong:
        return *reinterpret_cast<const int64_t*>(at);
      case at::kBool:
        return *reinterpret_cast<const bool*>(at);
      case at::kDouble:
        return *reinterpret_cast<const double*>(at);
      case at::kFloat:
        return static_cast<double>(*reinterpret_cast<const float*>(at));
      default:
        fail({"tolist() is called on a tensor of ", name_of(dtype), ", which it does not read"});
    }
  }

  Value list(const char* at, size_t level, const TypePtr& type) const {
    if (level == sizes.size()) {
      return read(at);
    }
    auto made = c10::make_intrusive<List>(type->inner[0]);
    const auto step = strides[level] * static_cast<int64_t>(c10::elementSize(dtype));
    for (int64_t i = 0; i < sizes[level]; i++) {
      made->items.push_back(list(at + i * step, level + 1, type->inner[0]));
    }
    return made;
  }
};

} // namespace

// Of no operator with this name alone: the instruction has taken its place.
void to_nested_list(Stack& stack) {
  const int64_t kind = pop(stack).to_int();
  const int64_t dims = pop(stack).to_int();
  const at::Tensor tensor = pop(stack).to_tensor();
  if (kind < 0 || kind > 2) {
    refuse({"Unsupported element type for tolist; only int, float and bool are supported"});
  }
  const bool fits = kind == 0 ? tensor.scalar_type() == at::kLong
      : kind == 1             ? tensor.is_floating_point()
                              : tensor.scalar_type() == at::kBool;
  if (!fits) {
    refuse({"Output annotation element type and runtime tensor element type must match for tolist(): ",
          kind == 0     ? "int"
              : kind == 1 ? "float"
                          : "bool",
          " vs ",
          c10::toString(tensor.scalar_type())});
  }
  if (dims != tensor.dim()) {
    refuse({"Output annotation list dimension and runtime tensor dimension must match for tolist()"});
  }
  TypePtr type = plain_type(kind == 0 ? TypeKind::Int : kind == 1 ? TypeKind::Float : TypeKind::Bool);
  for (int64_t i = 0; i < dims; i++) {
    type = list_of(type);
  }
  const Elements elements{
      static_cast<const char*>(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(), tensor.scalar_type()};
  stack.push_back(elements.list(elements.data, 0, type));
}

namespace {

constexpr size_t max_printed = 1 << 20;

// As C++'s streams print it with as many digits as a double has, and never as an integer.
std::string print(double number) {
  if (std::isnan(number)) {
    return "nan";
  }
  if (std::isinf(number)) {
    return number < 0 ? "-inf" : "inf";
  }
  char text[64];
  const bool is_whole = number == std::trunc(number) && std::fabs(number) < 1e10;
  std::snprintf(text, sizeof text, is_whole ? "%.0f." : "%.17g", number);
  if (!is_whole) {
    // The shortest of those that are read as the same number.
    for (int digits = 6; digits < 17; digits++) {
      char shorter[64];
      std::snprintf(shorter, sizeof shorter, "%.*g", digits, number);
      if (std::strtod(shorter, nullptr) == number) {
        return shorter;
      }
    }
  }
  return text;
}

class Printer {
 public:
  std::string text;

  void print(const Value& value, int above) {
    verifier::require(above <= verifier::max_depth && left_ > 0, "a text would be too long");
    left_--;
    switch (value.tag()) {
      case Tag::None:
        text += "None";
        break;
      case Tag::Int:
        text += std::to_string(value.to_int());
        break;
      case Tag::Float:
        text += torchlite::print(value.to_float());
        break;
      case Tag::Bool:
        text += value.to_bool() ? "True" : "False";
        break;
      case Tag::Device:
        text += value.to_device().str();
        break;
      case Tag::Tensor:
        text += tensor_printer != nullptr ? tensor_printer(value.to_tensor()) : describe(value);
        break;
      case Tag::String:
        text += value.to_text();
        break;
      case Tag::List:
        print_items("[", value.to_list().items, "]", above);
        break;
      case Tag::Tuple: {
        const auto& items = value.to_tuple().items;
        print_items("(", items, items.size() == 1 ? ",)" : ")", above);
        break;
      }
      case Tag::Dict: {
        text += "{";
        bool is_first = true;
        for (const auto& [key, item] : value.to_dict().entries) {
          text += is_first ? "" : ", ";
          is_first = false;
          print(key, above + 1);
          text += ": ";
          print(item, above + 1);
        }
        text += "}";
        break;
      }
      case Tag::Object:
        text += join({"<", value.to_object().type->name, " object>"});
        break;
    }
  }

 private:
  void print_items(const char* begin, const std::vector<Value>& items, const char* end, int above) {
    text += begin;
    for (size_t i = 0; i < items.size(); i++) {
      text += i == 0 ? "" : ", ";
      print(items[i], above + 1);
    }
    text += end;
  }

  size_t left_ = max_printed;
};

} // namespace

std::string to_string(const Value& value) {
  Printer printer;
  printer.print(value, 0);
  return std::move(printer.text);
}

void format_values(Stack& stack, size_t count) {
  const size_t first = stack.size() - count;
  const std::string form = stack[first].to_text();
  std::string text;
  size_t used = 0;
  size_t begin = 0;
  for (size_t at = form.find("{}"); at != std::string::npos; at = form.find("{}", begin)) {
    text.append(form, begin, at - begin);
    if (++used >= count) {
      refuse({"Too few arguments for format string: ", form});
    }
    text += to_string(stack[first + used]);
    begin = at + 2;
  }
  text.append(form, begin);
  stack.resize(first);
  stack.emplace_back(std::move(text));
}

TORCHLITE_PROMOTED(format, "aten::format", 1, 1) {
  const int64_t count = pop(stack).to_int();
  format_values(stack, static_cast<size_t>(count));
}

} // namespace torchlite
