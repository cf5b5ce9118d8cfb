#include "../refusal.h"
#include "code.h"
#include "pickle.h"
#include "verifier.h"
#include "zip.h"
#ifdef TORCHLITE_OWN_CORE
#include "checked_model.h"
#endif

#include <caffe2/serialize/versions.h>
#include <torch/csrc/jit/serialization/import_export_constants.h>

#include <unordered_map>

namespace torchlite {

namespace verifier {
namespace {

#define TORCHLITE_NO_BYTECODE \
  "this is not a file for the lite interpreter, as it has no bytecode: builder export makes one"

// The items of a tuple of at least `count`. Upstream moves them out of a table when it reads it, so that a table which
// stands in a second place would be empty there.
Items take(const Node& node, size_t count) {
  const Items items = items_of(node, count);
  require(!node.taken || items.size() == 0, "a table of the bytecode stands in two places");
  node.taken = true;
  return items;
}

// One row of a table, whose items are given: (name, value); refuses another name.
const Node& field(const Items& table, size_t index, std::string_view name) {
  require(index < table.size(), "a table of the bytecode has too few rows");
  const Items row = take(table[index], 2);
  require(text_of(row[0]) == name, "a table of the bytecode has other rows");
  return row[1];
}

class ZipModel final : public Records {
 public:
  explicit ZipModel(const Source& source) : zip_(source), storages_left_(zip_.limit()) {}

#ifdef TORCHLITE_OWN_CORE
  // The pickles live as long as the module is made of them.
  void read(const ModuleMaker& maker) {
    check_version();
    if (!zip_.has("bytecode.pkl")) {
      fail({TORCHLITE_NO_BYTECODE});
    }
    const std::string text = zip_.read("bytecode.pkl");
    Budget budget(text.size());
    folder_ = zip_.has_any("bytecode/") ? "bytecode/" : "constants/";
    const std::string constants = folder_;
    Pickle pickle(text, *this, budget);
    const Node& methods = pickle.read();
    check_methods(methods, budget);
    const std::string data = zip_.read("data.pkl");
    Budget data_budget(data.size());
    folder_ = "data/";
    Pickle data_pickle(data, *this, data_budget);
    const Node& object = data_pickle.read();
    require(object.kind == Kind::Object, "its data is no module");
    refuse_missing(missing_);
    maker({zip_, version_, methods, constants, object, folder_});
  }
#else
  void check() {
    check_version();
    if (!zip_.has("bytecode.pkl")) {
      fail({TORCHLITE_NO_BYTECODE});
    }
    const std::string text = zip_.read("bytecode.pkl");
    Budget budget(text.size());
    folder_ = zip_.has_any("bytecode/") ? "bytecode/" : "constants/";
    Pickle pickle(text, *this, budget);
    check_methods(pickle.read(), budget);
    check_data();
    refuse_missing(missing_);
  }

  uint64_t largest_record() const {
    return zip_.largest();
  }
#endif

  // Each use of a storage reads its record again.
  uint64_t storage_bytes(std::string_view key) override {
    const uint64_t size = zip_.size_of(folder_ + std::string(key));
    require(size <= storages_left_, "it refers to the same storage more often than a model does");
    storages_left_ -= size;
    return size;
  }

  void check_object(const std::string& name, const Node& state) override {
    if (setting_.count(name) > 0 || can_restore(name)) {
      return;
    }
    if (state.kind != Kind::Dict) {
      if (name.find("torch.classes.") != std::string::npos) {
        refuse_custom_class(name);
      }
      fail({"the model has a value of class ", name, ", an Enum perhaps, which no runtime reads"});
    }
    std::string attributes = "(";
    const Items items(state);
    for (size_t i = 0; i < items.size(); i += 2) {
      attributes += text_of(items[i]);
      attributes += '\n';
    }
    // Objects share what their class says of their attributes.
    std::string& known = attributes_[name];
    require(known.empty() || known == attributes, "objects of one class have other attributes");
    known = std::move(attributes);
  }

 private:
  void check_version() {
    const std::string text = zip_.read(zip_.has(".data/version") ? ".data/version" : "version");
    const int version = std::atoi(text.c_str());
    if (version > static_cast<int>(caffe2::serialize::kMaxSupportedFileFormatVersion)) {
      fail({"the model was written by a newer PyTorch, in format ", std::to_string(version)});
    }
    // Older ones are from before the lite interpreter.
    require(
        version >= static_cast<int>(caffe2::serialize::kMinProducedFileFormatVersion),
        "it does not say which format it has");
#ifdef TORCHLITE_OWN_CORE
    version_ = version;
#endif
  }

  void check_methods(const Node& root, Budget& budget) {
    const Items methods = items_of(root, 1);
    const int64_t version = integer(methods[0]);
    check_bytecode_version(version);
    for (size_t i = 1; i < methods.size(); i++) {
      const Items parts = take(methods[i], version > 4 ? 3 : 2);
      const std::string name(text_of(parts[0]));
      check_method(parts[1], parts.size() > 2 ? &parts[2] : nullptr, budget);
      constexpr std::string_view setstate = ".__setstate__";
      if (name.size() > setstate.size() &&
          name.compare(name.size() - setstate.size(), setstate.size(), setstate) == 0) {
        setting_[name.substr(0, name.size() - setstate.size())] = "";
      }
    }
    check_debug_handles(methods, budget);
  }

  void check_method(const Node& rows, const Node* schema, Budget& budget) {
    const Items table = take(rows, 0);
    Code code;
    for (const Node* item : take(field(table, torch::jit::BYTECODE_INDEX_INSTRUCTION, "instructions"), 0)) {
      budget.spend(1);
      const Items parts = take(*item, 3);
      code.instructions.push_back(
          make_instruction(text_of(parts[0]), integer(parts[1]), integer(parts[2])));
    }
    for (const Node* item : take(field(table, torch::jit::BYTECODE_INDEX_OPERATOR, "operators"), 0)) {
      const Items parts = take(*item, 2);
      const std::string_view name = text_of(parts[0]);
      const std::string_view overload = text_of(parts[1]);
      budget.spend(1 + (name.size() + overload.size()) / 16);
      const int64_t given = parts.size() > 2 ? integer(parts[2]) : -1;
      require(given <= INT16_MAX, "an operator has too many arguments");
      code.operators.push_back(
          {std::string(name), std::string(overload), given < 0 ? -1 : static_cast<int>(given)});
    }
    for (const Node* item : take(field(table, torch::jit::BYTECODE_INDEX_CONSTANT, "constants"), 0)) {
      budget.spend(1);
      code.constants.push_back(item->kind == Kind::String ? 's' : '-');
    }
    for (const Node* item : take(field(table, torch::jit::BYTECODE_INDEX_TYPE, "types"), 0)) {
      budget.spend(1);
      code.types.push_back(text_of(*item));
    }
    code.registers = integer(field(table, torch::jit::BYTECODE_INDEX_REGISTER_SIZE, "register_size"));
    if (schema != nullptr) {
      code.arguments = check_schema(*schema, budget);
    }
    check_code(code, missing_, budget);
  }

  static torch::jit::Instruction make_instruction(std::string_view name, int64_t x, int64_t n) {
    const std::string text(name);
    const auto op = torch::jit::parseOpCode(text.c_str());
    require(
        // Upstream takes any other name for OP.
        name == torch::jit::toString(op) && x >= INT32_MIN && x <= INT32_MAX && n >= 0 &&
            n <= UINT16_MAX,
        "an instruction is none of the lite interpreter's");
    return {op, static_cast<int32_t>(x), static_cast<uint16_t>(n)};
  }

  // Returns the number of arguments.
  static int check_schema(const Node& schema, Budget& budget) {
    const Items table = take(schema, 2);
    const Node& arguments = field(table, torch::jit::BYTECODE_INDEX_SCHEMA_ARGUMENTS, "arguments");
    for (const Node* list : {&arguments, &field(table, torch::jit::BYTECODE_INDEX_SCHEMA_RETURNS, "returns")}) {
      for (const Node* item : take(*list, 0)) {
        budget.spend(1);
        const Items row = take(*item, 3);
        text_of(field(row, torch::jit::BYTECODE_INDEX_ARGUMENT_NAME, "name"));
        const std::string_view type = text_of(field(row, torch::jit::BYTECODE_INDEX_ARGUMENT_TYPE, "type"));
        check_type(type, TypePlace::Schema, budget);
        field(row, torch::jit::BYTECODE_INDEX_ARGUMENT_DEFAULT_VALUE, "default_value");
      }
    }
    return static_cast<int>(items_of(arguments, 0).size());
  }

  // Upstream looks into these whether it shows them or not.
  void check_debug_handles(const Items& methods, Budget& budget) {
    if (!zip_.has("mobile_debug_handles.pkl")) {
      return;
    }
    const std::string text = zip_.read("mobile_debug_handles.pkl");
    folder_ = "mobile_debug_handles/";
    Pickle pickle(text, *this, budget);
    const Items all = items_of(pickle.read(), methods.size());
    for (size_t i = 1; i < methods.size(); i++) {
      const Items entry = take(all[i], 0);
      if (entry.size() > 0) {
        require(entry.size() >= 2, "the debug handles of a method are incomplete");
        const Items table = take(entry[1], 1);
        take(field(table, torch::jit::BYTECODE_INDEX_MODULE_DEBUG_HANDLES, "function_debug_handles"), 1);
      }
    }
  }

#ifndef TORCHLITE_OWN_CORE
  void check_data() {
    const std::string text = zip_.read("data.pkl");
    Budget budget(text.size());
    folder_ = "data/";
    Pickle pickle(text, *this, budget);
    require(pickle.read().kind == Kind::Object, "its data is no module");
  }
#endif

  Zip zip_;
#ifdef TORCHLITE_OWN_CORE
  int version_ = 0;
#endif
  uint64_t storages_left_;
  std::string folder_; // of the storages of the pickle that is being read
  Missing missing_;
  std::unordered_map<std::string, std::string> setting_; // classes with a __setstate__ in the bytecode
  std::unordered_map<std::string, std::string> attributes_; // by class
};

} // namespace
} // namespace verifier

#ifdef TORCHLITE_OWN_CORE
void verifier::read_zip(const Source& source, const ModuleMaker& maker) {
  ZipModel(source).read(maker);
}
#else
uint64_t verify_zip(const Source& source) {
  verifier::ZipModel model(source);
  model.check();
  return model.largest_record();
}
#endif

} // namespace torchlite
