#include "code.h"
#include "verifier.h"

#include <c10/core/QScheme.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/jit/serialization/mobile_bytecode_generated.h>

#include <algorithm>
#include <unordered_set>

namespace torchlite {

namespace verifier {
namespace {

namespace fb = torch::jit::mobile::serialization;
using fb::IValueUnion;
using fb::TypeType;

constexpr const char* absent = "a table lacks a field";
constexpr const char* outside = "an index leads outside of its table";

// Fields may be absent in a flatbuffer; upstream's loader (torch/csrc/jit/mobile/flatbuffer_loader.cpp)
// takes them for granted.
template <typename T>
const T& need(const T* field) {
  require(field != nullptr, absent);
  return *field;
}

class FlatbufferModel {
 public:
  FlatbufferModel(const fb::Module& module, size_t size)
      : module_(module), budget_(size) {}

  void check() {
    check_versions();
    const auto& values = need(module_.ivalues());
    const auto& types = need(module_.object_types());
    const int32_t storages = module_.storage_data_size();
    require(
        storages >= 0 &&
            (storages == 0 || need(module_.storage_data()).size() >= static_cast<uint32_t>(storages)),
        outside);
    classes_.resize(types.size());
    const uint32_t limit = module_.mobile_ivalue_size();
    const uint32_t count = limit == 0 || limit > values.size() ? values.size() : limit;
    heights_.assign(values.size(), 1);
    for (done_ = 0; done_ < count; done_++) {
      heights_[done_] = check_value(need(values.Get(done_)));
      require(heights_[done_] <= max_depth, "values are nested too deeply");
    }
    for (uint32_t i = 0; i < count; i++) {
      if (const auto* function = values.Get(i)->val_as_Function()) {
        require(function->class_type() < classes_.size() && classes_[function->class_type()].is_made, outside);
      }
    }
    require(
        module_.state_obj() < count && values.Get(module_.state_obj())->val_as_Object() != nullptr,
        "its data is no module");
    check_extra_files();
    refuse_missing(missing_);
  }

 private:
  void check_versions() {
    check_bytecode_version(module_.bytecode_version());
    require(module_.operator_version() <= INT32_MAX, "a version is too large");
  }

  // Upstream reads them when an app asks for any.
  void check_extra_files() {
    if (module_.extra_files() != nullptr) {
      for (const auto* file : *module_.extra_files()) {
        text_of(need(file).name());
        text_of(file->content());
      }
    }
  }

  // Files may refer to one text many times; each use is copied.
  std::string_view text_of(const flatbuffers::String* field) {
    const auto& text = need(field);
    budget_.spend(1 + text.size());
    return {text.c_str(), text.size()};
  }

  template <typename T>
  void check_numbers(const flatbuffers::Vector<T>* items) {
    budget_.spend(need(items).size());
  }

  // Returns the levels of a value made earlier; upstream takes later ones for None.
  int height_of(uint32_t index) {
    budget_.spend(1);
    require(index < heights_.size(), outside);
    return index < done_ ? heights_[index] : 1;
  }

  int height_of(const flatbuffers::Vector<uint32_t>* items) {
    int height = 1;
    for (const uint32_t index : need(items)) {
      height = std::max(height, 1 + height_of(index));
    }
    return height;
  }

  void check_annotation(const flatbuffers::String* field, std::string_view form) {
    const std::string_view text = text_of(field);
    check_type(text, TypePlace::Table, budget_);
    require(text.substr(0, form.size()) == form, "a list or dict is of another type");
  }

  int check_value(const fb::IValue& value) {
    const IValueUnion kind = value.val_type();
    require(kind >= IValueUnion::NONE && kind <= IValueUnion::MAX, "a value is of no known kind");
    require(kind == IValueUnion::NONE || value.val() != nullptr, absent);
    switch (kind) {
      case IValueUnion::TensorMetadata:
        check_tensor(*value.val_as_TensorMetadata());
        return 1;
      case IValueUnion::String:
        text_of(value.val_as_String()->data());
        return 1;
      case IValueUnion::Device:
        text_of(value.val_as_Device()->str());
        return 1;
      case IValueUnion::List:
        check_annotation(value.val_as_List()->annotation_str(), "List[");
        return height_of(value.val_as_List()->items());
      case IValueUnion::Tuple:
        return height_of(value.val_as_Tuple()->items());
      case IValueUnion::Dict:
        return check_dict(*value.val_as_Dict());
      case IValueUnion::IntList:
        check_numbers(value.val_as_IntList()->items());
        return 1;
      case IValueUnion::DoubleList:
        check_numbers(value.val_as_DoubleList()->items());
        return 1;
      case IValueUnion::BoolList:
        check_numbers(value.val_as_BoolList()->items());
        return 1;
      case IValueUnion::Object:
        return check_object(*value.val_as_Object());
      case IValueUnion::Function:
        check_function(*value.val_as_Function());
        return 1;
      case IValueUnion::EnumValue:
        refuse("it holds an enum, which this runtime has no type for");
      default: // NONE, Int, Bool, Double, ComplexDouble: their fields are always there
        return 1;
    }
  }

  int check_dict(const fb::Dict& dict) {
    check_annotation(dict.annotation_str(), "Dict[");
    require(need(dict.keys()).size() <= need(dict.values()).size(), outside);
    return std::max(height_of(dict.keys()), height_of(dict.values()));
  }

  // Returns how many elements it has if it has one dimension, otherwise -1.
  int64_t check_tensor(const fb::TensorMetadata& tensor) {
    const uint32_t place = tensor.storage_location_index();
    require(place < static_cast<uint32_t>(module_.storage_data_size()), outside);
    const uint32_t bytes = need(need(need(module_.storage_data()).Get(place)).data()).size();
    const auto dtype = static_cast<c10::ScalarType>(tensor.scalar_type());
    const size_t width = width_of(dtype);
    const auto& sizes = need(tensor.sizes());
    const auto& strides = need(tensor.strides());
    require(sizes.size() == strides.size() && sizes.size() <= max_type_depth, outside);
    const std::vector<int64_t> wide(sizes.begin(), sizes.end());
    const std::vector<int64_t> steps(strides.begin(), strides.end());
    const int64_t elements = check_extent(
        tensor.storage_offset(),
        wide.data(),
        steps.data(),
        wide.size(),
        bytes / width * static_cast<uint64_t>(elements_per_unit(tensor.scalar_type())));
    const auto* quantised = tensor.quantized_schema();
    require((quantised != nullptr) == c10::isQIntType(dtype), "a tensor is half quantised");
    if (quantised != nullptr && quantised->qscheme() != static_cast<int8_t>(c10::kPerTensorAffine)) {
      const auto& scales = need(quantised->scales());
      const auto& zero_points = need(quantised->zero_points());
      require(!scales.quantized_schema() && !zero_points.quantized_schema(), outside);
      check_channels(
          quantised->axis(), wide.data(), wide.size(), check_tensor(scales), check_tensor(zero_points));
    }
    return wide.size() == 1 ? elements : -1;
  }

  static size_t width_of(c10::ScalarType dtype) {
#define TORCHLITE_CASE(type, name) \
  case c10::ScalarType::name:      \
    return sizeof(type);
    switch (dtype) {
      AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(TORCHLITE_CASE)
      default:
        refuse("a tensor is of no known dtype");
    }
#undef TORCHLITE_CASE
  }

  int check_object(const fb::Object& object) {
    const uint32_t index = object.type_index();
    require(index < classes_.size(), outside);
    const auto& type = need(module_.object_types()->Get(index));
    const std::string name(text_of(type.type_name()));
    require(
        name.compare(0, 10, "__torch__.") == 0 || name.compare(0, 10, "torch.jit.") == 0,
        "an object is of a class that no lite file has");
    Class& known = classes_[index];
    const bool is_first = !known.is_made;
    known.is_made = true;
    // Upstream finds a class by its name, and would add the attributes of a second one to it.
    require(!is_first || names_.insert(name).second, "two classes have one name");
    switch (type.type()) {
      case TypeType::CLASS_WITH_FIELD:
        return check_fields(object, type, known, is_first);
      case TypeType::CUSTOM_CLASS: {
        if (!can_restore(name)) {
          refuse_custom_class(name);
        }
        return 1 + height_of(object.state());
      }
      case TypeType::CLASS_WITH_SETSTATE: {
        const uint32_t function = object.setstate_func();
        require(
            function < done_ && module_.ivalues()->Get(function)->val_as_Function() != nullptr,
            outside);
        return 1 + height_of(object.state());
      }
      default:
        refuse("an object is of no kind");
    }
  }

  struct Class {
    bool is_made = false; // whether an object made it known
    uint32_t fields = 0; // attributes of its objects
    int height = 1; // levels of values below and with its first object
  };

  int check_fields(const fb::Object& object, const fb::ObjectType& type, Class& known, bool is_first) {
    const uint32_t count = need(object.attrs()).size();
    // The first object of a class tells its attributes, for all of them.
    require(is_first || known.fields == count, "objects of one class have other attributes");
    known.fields = count;
    require(count == 0 || need(type.attr_names()).size() >= count, outside);
    for (uint32_t i = 0; i < count; i++) {
      text_of(type.attr_names()->Get(i));
    }
    // A class holds the types of its first object's attributes, theirs hold others: as many levels of types, where the
    // values of later objects may have few.
    const int height = std::max(known.height, height_of(object.attrs()));
    if (is_first) {
      known.height = height;
    }
    return height;
  }

  void check_function(const fb::Function& function) {
    Code code;
    text_of(function.qn());
    for (const auto* one : need(function.instructions())) {
      const auto op = static_cast<torch::jit::OpCode>(one->op());
      // Upstream has no name for other codes, and looks for one.
      require(
          torch::jit::toString(op) != nullptr && torch::jit::isOpSupportedInMobile(op),
          "an instruction is none of the lite interpreter's");
      code.instructions.emplace_back(op, one->x(), one->n());
    }
    for (const auto* use : need(function.operators())) {
      const std::string_view name = text_of(need(use).name());
      const std::string_view overload = text_of(use->overload_name());
      require(use->num_args_serialized() <= INT16_MAX, "an operator has too many arguments");
      code.operators.push_back(
          {std::string(name), std::string(overload), use->num_args_serialized()});
    }
    for (const uint32_t index : need(function.constants())) {
      height_of(index);
      const bool is_text =
          index < done_ && module_.ivalues()->Get(index)->val_type() == IValueUnion::String;
      code.constants.push_back(is_text ? 's' : '-');
    }
    for (const auto* type : need(function.type_annotations())) {
      code.types.push_back(text_of(type));
    }
    code.registers = function.register_size();
    if (const auto* schema = function.schema()) {
      check_arguments(need(schema->arguments()));
      check_arguments(need(schema->returns()));
      code.arguments = static_cast<int>(schema->arguments()->size());
    }
    check_code(code, missing_, budget_);
  }

  void check_arguments(const flatbuffers::Vector<flatbuffers::Offset<fb::Arg>>& arguments) {
    for (const auto* one : arguments) {
      text_of(need(one).name());
      check_type(text_of(one->type()), TypePlace::Schema, budget_);
      height_of(one->default_value());
    }
  }

  const fb::Module& module_;
  Budget budget_;
  Missing missing_;
  uint32_t done_ = 0; // values that are made
  std::vector<int> heights_;
  std::vector<Class> classes_;
  std::unordered_set<std::string> names_; // of those that are made
};

} // namespace
} // namespace verifier

bool verify_flatbuffer(const void* data, size_t size) {
  verifier::require(size < FLATBUFFERS_MAX_BUFFER_SIZE, "it is too large for a flatbuffer");
  flatbuffers::Verifier verifier(static_cast<const uint8_t*>(data), size);
  verifier::require(
      verifier::fb::VerifyModuleBuffer(verifier), "its tables lead outside of the file");
  const auto& module = *verifier::fb::GetModule(data);
  verifier::FlatbufferModel(module, size).check();
  return module.extra_files() != nullptr;
}

} // namespace torchlite
