// Loading: a checked zip becomes a module.

#include "lite_module.h"

#include "../refusal.h"
#include "../source.h"
#include "../verifier/checked_model.h"
#include "../verifier/fault.h"
#include "../verifier/zip.h"

#include <c10/core/CPUAllocator.h>
#include <torch/csrc/jit/serialization/import_export_constants.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

namespace torchlite {

namespace {

using namespace verifier;

// The values of one pickle.
class Reader {
 public:
  Reader(const CheckedModel& model, const std::string& folder, Program& program)
      : zip_(model.zip), folder_(folder), program_(program) {}

  // One value for each node, however often it occurs. Checked files are not deep, and have no rings.
  Value read(const Node& node) {
    const auto found = values_.find(&node);
    if (found != values_.end()) {
      return found->second;
    }
    Value value = make(node);
    // What is wanted once is not kept: a class may pack a tensor, and free it.
    if (value.tag() >= Tag::Tensor && node.uses > 1) {
      values_.emplace(&node, value);
    }
    return value;
  }

 private:
  Value make(const Node& node) {
    switch (node.kind) {
      case Kind::None:
        return {};
      case Kind::Bool:
        return node.number != 0;
      case Kind::Int:
      case Kind::Dtype:
        return node.number;
      case Kind::Float: {
        double real = 0;
        std::memcpy(&real, &node.number, sizeof real);
        return real;
      }
      case Kind::String:
        return std::string(node.text);
      case Kind::Tuple: {
        std::vector<Value> items;
        read_items(node, items);
        return c10::make_intrusive<Tuple>(std::move(items));
      }
      case Kind::List: {
        auto list = c10::make_intrusive<List>(inner_type(node, 0));
        read_items(node, list->items);
        return list;
      }
      case Kind::Dict: {
        auto dict = c10::make_intrusive<Dict>(inner_type(node, 0), inner_type(node, 1));
        const Items items(node);
        for (size_t i = 0; i + 1 < items.size(); i += 2) {
          dict->set(read(items[i]), read(items[i + 1]));
        }
        return dict;
      }
      case Kind::Tensor:
        return make_tensor(*node.made_of);
      case Kind::Object:
        return make_object(node);
      case Kind::Other:
        if (!node.text.empty()) {
          return make_device(node.text);
        }
        fail({"the model has a complex number, which this runtime cannot hold outside of tensors"});
      default:
        refuse("a pickle has something in place of a value");
    }
  }

  void read_items(const Node& node, std::vector<Value>& items) {
    items.reserve(node.count);
    for (const Node* item : Items(node)) {
      items.push_back(read(*item));
    }
  }

  // "cpu", "cuda:1".
  static c10::Device make_device(std::string_view text) {
    const std::string_view name = text.substr(0, text.find(':'));
    int index = name.size() < text.size() ? 0 : -1;
    for (const char digit : text.substr(std::min(name.size() + 1, text.size()))) {
      index = digit >= '0' && digit <= '9' && index < 100 ? index * 10 + (digit - '0') : 1000;
    }
    for (int type = 0; type < c10::COMPILE_TIME_MAX_DEVICE_TYPES && index <= 127 && text.back() != ':'; type++) {
      const auto device = static_cast<c10::DeviceType>(type);
      if (c10::isValidDeviceType(device) && c10::DeviceTypeName(device, true) == name) {
        return c10::Device(device, static_cast<c10::DeviceIndex>(index));
      }
    }
    fail({"the model has a device that this runtime does not know: ", text});
  }

  // What a file does not say is anything.
  static TypePtr inner_type(const Node& group, size_t index) {
    const TypePtr type = group.text.empty() ? TypePtr() : parse_type(group.text);
    return type && index < type->inner.size() ? type->inner[index] : plain_type(TypeKind::Any);
  }

  static std::vector<int64_t> integers(const Node& node) {
    std::vector<int64_t> numbers;
    for (const Node* item : Items(node)) {
      numbers.push_back(integer(*item));
    }
    return numbers;
  }

  // Tensors of one storage share it, as in the file.
  c10::Storage read_storage(const Node& node) {
    c10::Storage storage;
    const auto found = storages_.find(&node);
    if (found != storages_.end()) {
      storage = found->second;
    } else {
      const Items items(*node.made_of);
      const auto dtype = static_cast<c10::ScalarType>(items[1].number);
      const size_t size = static_cast<size_t>(integer(items[4])) * c10::elementSize(dtype);
      c10::DataPtr data = c10::GetCPUAllocator()->allocate(size);
      if (size > 0) {
        const std::string name = folder_ + std::string(text_of(items[2]));
        const uint64_t whole = zip_.size_of(name);
        if (whole > size) { // only its start is wanted
          const std::string record = zip_.read(name);
          std::memcpy(data.get(), record.data(), size);
        } else {
          zip_.read(name, data.get(), size);
        }
      }
      storage = c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data));
      if (node.uses > 1) {
        storages_.emplace(&node, storage);
      }
    }
    return storage;
  }

  // What the verifier's build_tensor() has checked.
  at::Tensor make_tensor(const Node& argument) {
    const Items items(argument);
    const auto dtype = static_cast<c10::ScalarType>(Items(*items[0].made_of)[1].number);
    if (c10::isQIntType(dtype)) {
      fail({"the model has a quantised tensor, which this runtime cannot hold"});
    }
    at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
        read_storage(items[0]), c10::DispatchKeySet(c10::DispatchKey::CPU), c10::scalarTypeToTypeMeta(dtype));
    tensor.unsafeGetTensorImpl()->set_storage_offset(integer(items[1]));
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(integers(items[2]), integers(items[3]));
    return tensor;
  }

  Value make_object(const Node& node) {
    std::string name(node.text);
    name[name.find('\n')] = '.';
    const Node& state = Items(node)[0];
    auto& type = classes_[name];
    if (!type) {
      type = c10::make_intrusive<Type>(TypeKind::Class, std::vector<TypePtr>(), name);
    }
    const auto setstate = program_.methods.find(name + ".__setstate__");
    if (setstate != program_.methods.end()) {
      auto object = c10::make_intrusive<Object>(type, 0);
      Stack stack{object, read(state)};
      interpret(program_, *setstate->second, stack);
      return object;
    }
    if (const CustomClass* custom = find_custom_class(name)) {
      auto object = c10::make_intrusive<Object>(type, 0);
      object->held = custom->restore(read(state));
      return object;
    }
    const Items items(state);
    auto object = c10::make_intrusive<Object>(type, items.size() / 2);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      object->slots[i / 2] = read(items[i + 1]);
    }
    size_t& known = program_.attributes[name];
    known = std::max(known, object->slots.size());
    return object;
  }

  Zip& zip_;
  const std::string& folder_;
  Program& program_;
  std::unordered_map<const Node*, Value> values_;
  std::unordered_map<const Node*, c10::Storage> storages_;
  std::unordered_map<std::string, TypePtr> classes_;
};

class Maker {
 public:
  explicit Maker(const CheckedModel& model) : model_(model), constants_(model, model.constants, *program_) {}

  Module make() {
    const Items methods(model_.methods);
    for (size_t i = 1; i < methods.size(); i++) {
      add_method(Items(methods[i]));
    }
    Reader data(model_, model_.data, *program_);
    Value object = data.read(model_.object);
    return Module(std::move(program_), std::move(object));
  }

 private:
  static Items row(const Items& table, size_t index) {
    return Items(Items(table[index])[1]);
  }

  void add_method(const Items& parts) {
    auto function = std::make_unique<Function>();
    const std::string_view whole = text_of(parts[0]);
    const size_t dot = whole.rfind('.');
    function->name = whole.substr(dot + 1); // of a name without a dot, all of it
    add_code(Items(parts[1]), function->code);
    std::string owner(whole.substr(0, dot == std::string_view::npos ? 0 : dot));
    if (parts.size() > 2) {
      const Items schema(parts[2]);
      function->has_signature = true;
      for (const Node* item : row(schema, torch::jit::BYTECODE_INDEX_SCHEMA_ARGUMENTS)) {
        const Items fields(*item);
        function->parameters.push_back(
            {std::string(text_of(field(fields, torch::jit::BYTECODE_INDEX_ARGUMENT_NAME))),
             parse_type(text_of(field(fields, torch::jit::BYTECODE_INDEX_ARGUMENT_TYPE))),
             constants_.read(field(fields, torch::jit::BYTECODE_INDEX_ARGUMENT_DEFAULT_VALUE))});
      }
      for (const Node* item : row(schema, torch::jit::BYTECODE_INDEX_SCHEMA_RETURNS)) {
        function->results.push_back(
            parse_type(text_of(field(Items(*item), torch::jit::BYTECODE_INDEX_ARGUMENT_TYPE))));
      }
      if (!function->parameters.empty() && function->parameters[0].type->kind == TypeKind::Class) {
        owner = function->parameters[0].type->name;
      }
    }
    program_->methods.emplace(owner + "." + function->name, function.get());
    program_->methods.emplace(std::string(whole), function.get()); // what objects of a class are set by
    program_->functions.push_back(std::move(function));
  }

  static const Node& field(const Items& fields, size_t index) {
    return Items(fields[index])[1];
  }

  void add_code(const Items& table, Code& code) {
    for (const Node* item : row(table, torch::jit::BYTECODE_INDEX_OPERATOR)) {
      code.calls.push_back(find_call(Items(*item)));
    }
    for (const Node* item : row(table, torch::jit::BYTECODE_INDEX_CONSTANT)) {
      code.constants.push_back(constants_.read(*item));
    }
    for (const Node* item : row(table, torch::jit::BYTECODE_INDEX_TYPE)) {
      code.types.push_back(parse_type(text_of(*item)));
    }
    code.registers = static_cast<size_t>(integer(field(table, torch::jit::BYTECODE_INDEX_REGISTER_SIZE)));
    for (const Node* item : row(table, torch::jit::BYTECODE_INDEX_INSTRUCTION)) {
      const Items parts(*item);
      const std::string name(text_of(parts[0]));
      const torch::jit::Instruction one(
          torch::jit::parseOpCode(name.c_str()),
          static_cast<int32_t>(integer(parts[1])),
          static_cast<uint16_t>(integer(parts[2])));
      check_type_of(one, code);
      code.instructions.push_back(one);
    }
  }

  // The verifier has seen how the text of the type begins.
  static void check_type_of(const torch::jit::Instruction& one, const Code& code) {
    const bool is_list = one.op == torch::jit::LIST_CONSTRUCT;
    if (is_list || one.op == torch::jit::DICT_CONSTRUCT) {
      require(
          code.types[static_cast<size_t>(one.X)]->kind == (is_list ? TypeKind::List : TypeKind::Dict),
          "a list or dict is made of another type");
    }
  }

  Call find_call(const Items& parts) const {
    c10::OperatorName name(std::string(text_of(parts[0])), std::string(text_of(parts[1])));
    const std::string whole = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    const Operator* found = find_operator(whole);
    require(found != nullptr, "an operator is missing");
    if (model_.version < found->since) {
      fail(
          {"the model was written for an older ",
           whole,
           ", in format ",
           std::to_string(model_.version),
           "; this runtime was built without upgraders, which builder's own core lacks: export the model again, or build "
           "with --core upstream"});
    }
    Call call{found, std::move(name), found->arguments, found->arguments};
    const int64_t given = parts.size() > 2 ? integer(parts[2]) : -1;
    if (given >= 0 && given < call.given && !found->variadic && !found->as_given) {
      call.given = call.taken = static_cast<uint16_t>(std::max<int64_t>(given, found->outputs));
    }
    return call;
  }

  const CheckedModel& model_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
  Reader constants_;
};

void read_extra(const Source& source, ExtraFiles& extra) {
  if (extra.empty()) {
    return;
  }
  verifier::Zip zip(source);
  for (auto& [name, content] : extra) {
    if (zip.has("extra/" + name)) {
      content = zip.read("extra/" + name);
    }
  }
}

Module load(const Source& source, ExtraFiles& extra) {
  c10::InferenceMode guard;
  const Running running;
  char header[8] = {};
  source.read(0, header, sizeof header);
  if (std::memcmp(header + 4, "PTMF", 4) == 0) {
    fail({"this runtime was built without the loader of flatbuffer files, which builder's own core lacks: build with "
          "--core upstream, or export the model as a zip"});
  }
  if (std::memcmp(header, "PK\x03\x04", 4) != 0) {
    fail({"this is not a model for the lite interpreter: it is neither kind of file"});
  }
  std::optional<Module> made;
  verifier::read_zip(source, [&](const CheckedModel& model) { made.emplace(Maker(model).make()); });
  read_extra(source, extra);
  return std::move(*made);
}

} // namespace

std::optional<Method> Module::find_method(const std::string& name) const {
  for (const auto& function : program_->functions) {
    if (function->name == name) {
      return Method(*function);
    }
  }
  return std::nullopt;
}

Module load_module(const std::string& path, ExtraFiles& extra) {
  const Source source(path);
  try {
    return load(source, extra);
  } catch (const c10::Error& error) {
    fail({path, ": ", explain(error)});
  } catch (const std::runtime_error& error) {
    fail({path, ": ", error.what()});
  }
}

Module load_module(const void* data, size_t size, ExtraFiles& extra) {
  return load(Source(data, size), extra);
}

} // namespace torchlite
