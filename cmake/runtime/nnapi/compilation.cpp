// The class that models of torch.backends._nnapi call, with the methods of upstream's
// (aten/src/ATen/nnapi/nnapi_bind.cpp). Upstream's trusts the file, and asks for functions of API level 29.

#include "model.h"

#include "refusal.h"

#include <ATen/core/Tensor.h>
#include <ATen/quantized/QTensorImpl.h>
#include <ATen/quantized/Quantizer.h>
#include <torch/custom_class.h>

#include <cmath>
#include <cstring>
#include <memory>

namespace torchlite::nnapi {

namespace {

constexpr int64_t last_preference = 2; // PreferenceCode of NeuralNetworks.h
constexpr int64_t sustained_speed = 2;
constexpr float scale_tolerance = 1e-6F;

struct Free {
  void operator()(ANeuralNetworksModel* made) const {
    open_library().Model_free(made);
  }
  void operator()(ANeuralNetworksCompilation* made) const {
    open_library().Compilation_free(made);
  }
  void operator()(ANeuralNetworksExecution* made) const {
    open_library().Execution_free(made);
  }
  void operator()(ANeuralNetworksEvent* made) const {
    open_library().Event_free(made);
  }
};

// NNAPI reads weights until the last execution has ended. They are tensors of the model, whose methods may change them.
struct Kept {
  c10::Storage storage;
  const void* data;
  size_t bytes;

  bool is_as_given() const {
    return storage.data() == data && storage.nbytes() >= bytes;
  }
};

void expect_dense(const at::Tensor& tensor, const char* what) {
  if (!tensor.defined() || !tensor.device().is_cpu() || tensor.layout() != at::kStrided || !tensor.is_contiguous() ||
      tensor.is_conj() || tensor.is_neg()) {
    fail({"NNAPI takes only dense, contiguous tensors of the CPU as ", what});
  }
}

std::vector<uint32_t> copy_words(const at::Tensor& tensor) {
  expect_dense(tensor, "a model");
  // Early converters wrote bytes.
  if (tensor.scalar_type() != at::kInt && tensor.scalar_type() != at::kByte) {
    fail({"a serialized model for NNAPI has the dtype int32 or uint8, and not ", name_of(tensor.scalar_type())});
  }
  if (tensor.nbytes() % sizeof(uint32_t) != 0) {
    fail({"the model for NNAPI is damaged: it ends within a word"});
  }
  std::vector<uint32_t> words(tensor.nbytes() / sizeof(uint32_t));
  if (!words.empty()) {
    std::memcpy(words.data(), tensor.const_data_ptr(), tensor.nbytes());
  }
  return words;
}

bool has_parameters(const at::Tensor& tensor, const Operand& operand) {
  const auto* impl = static_cast<const at::QTensorImpl*>(tensor.unsafeGetTensorImpl());
  const auto quantizer = const_cast<at::QTensorImpl*>(impl)->quantizer();
  if (quantizer->qscheme() != at::kPerTensorAffine) {
    return false;
  }
  const auto* affine = static_cast<const at::PerTensorAffineQuantizer*>(quantizer.get());
  return std::abs(static_cast<float>(affine->scale()) - operand.scale) <= scale_tolerance * operand.scale &&
      affine->zero_point() == operand.zero_point;
}

bool has_dtype(const at::Tensor& tensor, const Operand& operand) {
  switch (operand.kind) {
    case Kind::TENSOR_FLOAT32:
      return tensor.scalar_type() == at::kFloat;
    case Kind::TENSOR_INT32:
      return tensor.scalar_type() == at::kInt;
    case Kind::TENSOR_QUANT8_ASYMM:
      return tensor.scalar_type() == at::kQUInt8 && has_parameters(tensor, operand);
    // PyTorch has no such dtype; torch's converter has the option `use_int16_for_qint16`.
    case Kind::TENSOR_QUANT16_SYMM:
    case Kind::TENSOR_QUANT16_ASYMM:
      return tensor.scalar_type() == at::kShort;
    default:
      return false;
  }
}

// Sizes that the model leaves open fit any.
bool has_sizes(const at::Tensor& tensor, const Operand& operand) {
  if (static_cast<size_t>(tensor.dim()) != operand.sizes.size()) {
    return false;
  }
  for (size_t i = 0; i < operand.sizes.size(); i++) {
    const int64_t size = tensor.size(static_cast<int64_t>(i));
    if (size > INT32_MAX || (operand.sizes[i] != 0 && size != operand.sizes[i])) {
      return false;
    }
  }
  return true;
}

// An output may have its sizes in the order of PyTorch, and its operand in that of NNAPI (NHWC).
bool has_room(const at::Tensor& tensor, const Operand& operand) {
  return operand.bytes == 0 || tensor.nbytes() == operand.bytes;
}

[[noreturn]] void refuse(const at::Tensor& tensor, const Operand& operand, const char* what, size_t index) {
  std::string sizes;
  for (uint32_t size : operand.sizes) {
    sizes += (sizes.empty() ? "" : ", ") + (size == 0 ? std::string("any") : std::to_string(size));
  }
  fail(
      {"the model for NNAPI does not fit ",
       what,
       " ",
       std::to_string(index),
       ", which is ",
       describe_tensor(tensor),
       "; the model has operand type ",
       std::to_string(static_cast<int32_t>(operand.kind)),
       " [",
       sizes,
       "] there"});
}

// Gives an output the sizes that NNAPI has made. It has room for them.
void set_sizes(const at::Tensor& output, const std::vector<uint32_t>& sizes) {
  const auto room = static_cast<uint64_t>(output.numel());
  uint64_t count = 1;
  for (uint32_t size : sizes) {
    if (size != 0 && count > room / size) {
      fail({"NNAPI made a larger output than the model says"});
    }
    count *= size;
  }
  output.unsafeGetTensorImpl()->set_sizes_contiguous(std::vector<int64_t>(sizes.begin(), sizes.end()));
}

class Compilation : public torch::CustomClassHolder {
 public:
  // What files of early converters call.
  void init(const at::Tensor& serialized, const std::vector<at::Tensor>& weights) {
    init2(serialized, weights, sustained_speed, false);
  }

  void init2(
      const at::Tensor& serialized,
      const std::vector<at::Tensor>& weights,
      int64_t preference,
      bool relax_f32_to_f16) {
    if (compilation_) {
      fail({"a model for NNAPI is compiled twice"});
    }
    if (preference < 0 || preference > last_preference) {
      fail({"NNAPI has no preference ", std::to_string(preference)});
    }
    std::vector<uint32_t> words = copy_words(serialized);
    std::vector<Buffer> buffers;
    std::vector<Kept> kept;
    for (const at::Tensor& weight : weights) {
      expect_dense(weight, "weights");
      buffers.push_back({static_cast<const uint8_t*>(weight.const_data_ptr()), weight.nbytes()});
      kept.push_back({weight.storage(), weight.storage().data(), weight.storage().nbytes()});
    }
    Model model = read_model(words, buffers);

    const Functions& functions = open_library();
    constexpr const char* doing = "compile the model";
    ANeuralNetworksModel* made = nullptr;
    expect_success(functions.Model_create(&made), doing, "Model_create");
    std::unique_ptr<ANeuralNetworksModel, Free> held(made);
    add_to(made, model, functions);
    // Older systems compute as exactly as they can.
    if (relax_f32_to_f16 && functions.Model_relaxComputationFloat32toFloat16 != nullptr) {
      const int code = functions.Model_relaxComputationFloat32toFloat16(made, true);
      expect_success(code, doing, "Model_relaxComputationFloat32toFloat16");
    }
    expect_success(functions.Model_finish(made), doing, "Model_finish");

    ANeuralNetworksCompilation* compiled = nullptr;
    expect_success(functions.Compilation_create(made, &compiled), doing, "Compilation_create");
    std::unique_ptr<ANeuralNetworksCompilation, Free> compilation(compiled);
    const int code = functions.Compilation_setPreference(compiled, static_cast<int32_t>(preference));
    expect_success(code, doing, "Compilation_setPreference");
    expect_success(functions.Compilation_finish(compiled), doing, "Compilation_finish");
    // Values point into the words and the weights; moving a vector does not move what it holds.
    words_ = std::move(words);
    kept_ = std::move(kept);
    model_ = std::move(model);
    made_ = std::move(held);
    compilation_ = std::move(compilation);
  }

  void run(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& outputs) {
    if (!compilation_) {
      fail({"a model for NNAPI is run before it is compiled"});
    }
    if (inputs.size() != model_.inputs.size() || outputs.size() != model_.outputs.size()) {
      fail(
          {"a model for NNAPI takes ",
           std::to_string(model_.inputs.size()),
           " inputs and ",
           std::to_string(model_.outputs.size()),
           " outputs, and was given ",
           std::to_string(inputs.size()),
           " and ",
           std::to_string(outputs.size())});
    }
    for (const Kept& one : kept_) {
      if (!one.is_as_given()) {
        fail({"the weights of a model for NNAPI have changed since it was compiled"});
      }
    }
    const Functions& functions = open_library();
    constexpr const char* doing = "run the model";
    ANeuralNetworksExecution* made = nullptr;
    expect_success(functions.Execution_create(compilation_.get(), &made), doing, "Execution_create");
    const std::unique_ptr<ANeuralNetworksExecution, Free> execution(made);
    for (size_t i = 0; i < inputs.size(); i++) {
      const Operand& operand = model_.operands[model_.inputs[i]];
      expect_dense(inputs[i], "input");
      if (!has_dtype(inputs[i], operand) || !has_sizes(inputs[i], operand)) {
        refuse(inputs[i], operand, "input", i);
      }
      const std::vector<uint32_t> sizes(inputs[i].sizes().begin(), inputs[i].sizes().end());
      const ANeuralNetworksOperandType type{
          static_cast<int32_t>(operand.kind),
          static_cast<uint32_t>(sizes.size()),
          sizes.data(),
          operand.scale,
          operand.zero_point};
      const int code = functions.Execution_setInput(
          made, static_cast<int32_t>(i), &type, inputs[i].const_data_ptr(), inputs[i].nbytes());
      expect_success(code, doing, "Execution_setInput");
    }
    for (size_t i = 0; i < outputs.size(); i++) {
      const Operand& operand = model_.operands[model_.outputs[i]];
      expect_dense(outputs[i], "output");
      if (!has_dtype(outputs[i], operand) || !has_room(outputs[i], operand)) {
        refuse(outputs[i], operand, "output", i);
      }
      const int code = functions.Execution_setOutput(
          made, static_cast<int32_t>(i), nullptr, outputs[i].mutable_data_ptr(), outputs[i].nbytes());
      expect_success(code, doing, "Execution_setOutput");
    }
    compute(made, functions);
    for (size_t i = 0; i < outputs.size(); i++) {
      const Operand& operand = model_.operands[model_.outputs[i]];
      if (operand.bytes != 0) {
        set_sizes(outputs[i], operand.sizes);
      } else {
        ask_sizes(outputs[i], made, static_cast<int32_t>(i), functions);
      }
    }
  }

 private:
  static void compute(ANeuralNetworksExecution* made, const Functions& functions) {
    constexpr const char* doing = "run the model";
    if (functions.Execution_compute != nullptr) {
      expect_success(functions.Execution_compute(made), doing, "Execution_compute");
      return;
    }
    // Before API level 29.
    ANeuralNetworksEvent* started = nullptr;
    expect_success(functions.Execution_startCompute(made, &started), doing, "Execution_startCompute");
    const std::unique_ptr<ANeuralNetworksEvent, Free> event(started);
    expect_success(functions.Event_wait(started), doing, "Event_wait");
  }

  // An output whose sizes the model left open has room for the largest.
  static void
  ask_sizes(const at::Tensor& output, ANeuralNetworksExecution* made, int32_t index, const Functions& functions) {
    if (functions.Execution_getOutputOperandRank == nullptr ||
        functions.Execution_getOutputOperandDimensions == nullptr) {
      return;
    }
    constexpr const char* doing = "tell the sizes of an output";
    uint32_t rank = 0;
    expect_success(
        functions.Execution_getOutputOperandRank(made, index, &rank), doing, "Execution_getOutputOperandRank");
    if (rank > most_dimensions) {
      fail({"NNAPI made an output with ", std::to_string(rank), " dimensions"});
    }
    std::vector<uint32_t> sizes(rank);
    expect_success(
        functions.Execution_getOutputOperandDimensions(made, index, sizes.data()),
        doing,
        "Execution_getOutputOperandDimensions");
    set_sizes(output, sizes);
  }

  std::vector<uint32_t> words_;
  std::vector<Kept> kept_;
  Model model_;
  // The compilation is freed before its model.
  std::unique_ptr<ANeuralNetworksModel, Free> made_;
  std::unique_ptr<ANeuralNetworksCompilation, Free> compilation_;
};

} // namespace

TORCH_LIBRARY(_nnapi, library) {
  library.class_<Compilation>("Compilation")
      .def(torch::init<>())
      .def("init", &Compilation::init)
      .def("init2", &Compilation::init2)
      .def("run", &Compilation::run);
}

} // namespace torchlite::nnapi
