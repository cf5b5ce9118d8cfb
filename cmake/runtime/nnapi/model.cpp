// Reads and checks a serialized model for NNAPI.

#include "model.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace torchlite::nnapi {

namespace {

constexpr uint32_t layout_version = 1;
// NNAPI counts bytes of an operand in 32 bits.
constexpr uint64_t most_bytes = UINT32_MAX;

// Where the bytes of a value are.
enum Source : uint32_t { IMMEDIATE = 0, NUMBERED_BUFFER = 2 };

// The operations that torch/backends/_nnapi/serializer.py writes, with the counts of their inputs by NeuralNetworks.h.
struct KnownOperation {
  int32_t code;
  uint32_t fewest;
  uint32_t most;
};
constexpr KnownOperation known_operations[] = {
    {0, 3, 3}, // ADD
    {1, 7, 11}, // AVERAGE_POOL_2D
    {2, 2, UINT32_MAX}, // CONCATENATION
    {3, 7, 13}, // CONV_2D
    {4, 8, 14}, // DEPTHWISE_CONV_2D
    {6, 1, 1}, // DEQUANTIZE
    {9, 4, 4}, // FULLY_CONNECTED
    {14, 1, 1}, // LOGISTIC
    {17, 7, 11}, // MAX_POOL_2D
    {18, 3, 3}, // MUL
    {19, 1, 1}, // RELU
    {20, 1, 1}, // RELU1
    {21, 1, 1}, // RELU6
    {22, 2, 2}, // RESHAPE
    {25, 2, 3}, // SOFTMAX
    {30, 3, 3}, // DIV
    {31, 3, 3}, // MEAN
    {35, 7, 7}, // STRIDED_SLICE
    {36, 3, 3}, // SUB
    {37, 1, 2}, // TRANSPOSE
    {50, 2, 2}, // EXPAND_DIMS
    {64, 3, 3}, // LOG_SOFTMAX
    {71, 2, 2}, // PRELU
    {72, 1, 1}, // QUANTIZE
    {91, 9, 11}, // TRANSPOSE_CONV_2D
    {94, 3, 6}, // RESIZE_NEAREST_NEIGHBOR
};

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error("the model for NNAPI is damaged: " + why);
}

std::string text(uint64_t number) {
  return std::to_string(number);
}

// Takes words from the front.
class Reader {
 public:
  explicit Reader(const std::vector<uint32_t>& words) : next_(words.data()), left_(words.size()) {}

  const uint32_t* take(uint64_t count) {
    if (count > left_) {
      refuse("it ends early");
    }
    const uint32_t* taken = next_;
    next_ += count;
    left_ -= count;
    return taken;
  }

  size_t left() const {
    return left_;
  }

 private:
  const uint32_t* next_;
  size_t left_;
};

bool is_tensor(Kind kind) {
  switch (kind) {
    case Kind::FLOAT32:
    case Kind::INT32:
    case Kind::UINT32:
    case Kind::BOOL:
    case Kind::FLOAT16:
      return false;
    default:
      return true;
  }
}

int32_t last_zero_point(Kind kind) {
  switch (kind) {
    case Kind::TENSOR_QUANT8_ASYMM:
      return UINT8_MAX;
    case Kind::TENSOR_QUANT16_ASYMM:
      return UINT16_MAX;
    default:
      return 0;
  }
}

void check_operand(Operand& operand, uint32_t index) {
  const std::string name = "operand " + text(index);
  const uint64_t element = size_of_element(operand.kind);
  if (!is_tensor(operand.kind) && !operand.sizes.empty()) {
    refuse(name + " is a number with dimensions");
  }
  if (!std::isfinite(operand.scale) || operand.scale < 0) {
    refuse(name + " has no usable scale");
  }
  if (operand.zero_point < 0 || operand.zero_point > last_zero_point(operand.kind)) {
    refuse(name + " has the zero point " + std::to_string(operand.zero_point));
  }
  uint64_t bytes = element;
  for (uint32_t size : operand.sizes) {
    // Where a size is not known, the others are bounded all the same.
    bytes *= size == 0 ? 1 : size;
    if (bytes > most_bytes) {
      refuse(name + " has more than " + text(most_bytes) + " bytes");
    }
  }
  for (uint32_t size : operand.sizes) {
    bytes = size == 0 ? 0 : bytes;
  }
  operand.bytes = bytes;
}

// What defines an operand.
enum class Defined : uint8_t { NO, VALUE, INPUT, OPERATION };

class Definitions {
 public:
  explicit Definitions(size_t count) : by_operand_(count, Defined::NO) {}

  void define(uint32_t operand, Defined by) {
    if (find(operand) != Defined::NO) {
      refuse("operand " + text(operand) + " is defined twice");
    }
    by_operand_[operand] = by;
  }

  Defined find(uint32_t operand) const {
    if (operand >= by_operand_.size()) {
      refuse("it names operand " + text(operand) + " of " + text(by_operand_.size()));
    }
    return by_operand_[operand];
  }

 private:
  std::vector<Defined> by_operand_;
};

Buffer find_buffer(const uint32_t* stored, uint32_t bytes, const std::vector<Buffer>& buffers) {
  if (bytes != 3 * sizeof(uint32_t)) {
    refuse("a value names its buffer in " + text(bytes) + " bytes");
  }
  const uint32_t number = stored[0], offset = stored[1], length = stored[2];
  if (number >= buffers.size()) {
    refuse("it names buffer " + text(number) + " of " + text(buffers.size()));
  }
  const Buffer& buffer = buffers[number];
  if (offset > buffer.bytes || length > buffer.bytes - offset) {
    refuse("a value ends behind buffer " + text(number));
  }
  return {buffer.data + offset, length};
}

std::vector<uint32_t> take_list(Reader& reader, uint32_t count) {
  const uint32_t* first = reader.take(count);
  return std::vector<uint32_t>(first, first + count);
}

void check_operation(const Operation& operation, uint32_t index, Definitions& definitions) {
  const std::string name = "operation " + text(index);
  const KnownOperation* known = nullptr;
  for (const KnownOperation& one : known_operations) {
    known = one.code == operation.code ? &one : known;
  }
  if (known == nullptr) {
    refuse(name + " has the code " + std::to_string(operation.code) + ", which torch does not write");
  }
  if (operation.inputs.size() < known->fewest || operation.inputs.size() > known->most || operation.outputs.size() != 1) {
    refuse(
        name + " with the code " + std::to_string(operation.code) + " has " + text(operation.inputs.size()) +
        " inputs and " + text(operation.outputs.size()) + " outputs");
  }
  for (uint32_t input : operation.inputs) {
    if (definitions.find(input) == Defined::NO) {
      refuse(name + " reads operand " + text(input) + ", which nothing before it defines");
    }
  }
  for (uint32_t output : operation.outputs) {
    definitions.define(output, Defined::OPERATION);
  }
}

} // namespace

size_t size_of_element(Kind kind) {
  switch (kind) {
    case Kind::FLOAT32:
    case Kind::INT32:
    case Kind::UINT32:
    case Kind::TENSOR_FLOAT32:
    case Kind::TENSOR_INT32:
      return 4;
    case Kind::TENSOR_QUANT16_SYMM:
    case Kind::TENSOR_QUANT16_ASYMM:
    case Kind::TENSOR_FLOAT16:
    case Kind::FLOAT16:
      return 2;
    case Kind::TENSOR_QUANT8_ASYMM:
    case Kind::TENSOR_QUANT8_SYMM:
    case Kind::TENSOR_BOOL8:
    case Kind::BOOL:
      return 1;
  }
  refuse("it has an operand of the unknown type " + std::to_string(static_cast<int32_t>(kind)));
}

Model read_model(const std::vector<uint32_t>& words, const std::vector<Buffer>& buffers) {
  Reader reader(words);
  const uint32_t* head = reader.take(6);
  if (head[0] != layout_version) {
    refuse("it has version " + text(head[0]) + " instead of " + text(layout_version));
  }
  const uint32_t operand_count = head[1], value_count = head[2], operation_count = head[3];
  // Lists of fixed items come first. A product of 32 bits and a small number fits into 64 bits.
  const uint32_t* operands = reader.take(uint64_t{operand_count} * 4);
  const uint32_t* values = reader.take(uint64_t{value_count} * 3);
  const uint32_t* operations = reader.take(uint64_t{operation_count} * 3);

  Model model;
  model.operands.reserve(operand_count);
  for (uint32_t i = 0; i < operand_count; i++) {
    const uint32_t* one = operands + i * size_t{4};
    if (one[1] > most_dimensions) {
      refuse("operand " + text(i) + " has " + text(one[1]) + " dimensions");
    }
    Operand operand{static_cast<Kind>(one[0]), take_list(reader, one[1]), 0, static_cast<int32_t>(one[3]), 0};
    std::memcpy(&operand.scale, one + 2, sizeof(float));
    check_operand(operand, i);
    model.operands.push_back(std::move(operand));
  }

  Definitions definitions(operand_count);
  model.values.reserve(value_count);
  for (uint32_t i = 0; i < value_count; i++) {
    const uint32_t* one = values + i * size_t{3};
    const uint32_t operand = one[0], source = one[1], bytes = one[2];
    // Each value is followed by zeros to the end of its last word.
    const uint32_t* stored = reader.take((uint64_t{bytes} + 3) / 4);
    Buffer data{};
    if (source == IMMEDIATE) {
      data = {reinterpret_cast<const uint8_t*>(stored), bytes};
    } else if (source == NUMBERED_BUFFER) {
      data = find_buffer(stored, bytes, buffers);
    } else {
      refuse("a value has the source " + text(source));
    }
    definitions.define(operand, Defined::VALUE);
    if (data.bytes == 0 || data.bytes != model.operands[operand].bytes) {
      refuse(
          "operand " + text(operand) + " takes " + text(model.operands[operand].bytes) + " bytes, and its value has " +
          text(data.bytes));
    }
    if (reinterpret_cast<uintptr_t>(data.data) % size_of_element(model.operands[operand].kind) != 0) {
      refuse("the value of operand " + text(operand) + " begins within an element");
    }
    model.values.push_back({operand, data});
  }

  for (uint32_t i = 0; i < operation_count; i++) {
    const uint32_t* one = operations + i * size_t{3};
    Operation operation{static_cast<int32_t>(one[0]), take_list(reader, one[1]), take_list(reader, one[2])};
    model.operations.push_back(std::move(operation));
  }
  model.inputs = take_list(reader, head[4]);
  model.outputs = take_list(reader, head[5]);
  if (reader.left() != 0) {
    refuse(text(reader.left()) + " words follow it");
  }

  if (model.inputs.empty() || model.outputs.empty()) {
    refuse("it has no input or no output");
  }
  for (uint32_t input : model.inputs) {
    definitions.define(input, Defined::INPUT);
    if (!is_tensor(model.operands[input].kind)) {
      refuse("its input is a number");
    }
  }
  for (uint32_t i = 0; i < operation_count; i++) {
    check_operation(model.operations[i], i, definitions);
  }
  std::vector<bool> is_output(operand_count);
  for (uint32_t output : model.outputs) {
    if (definitions.find(output) != Defined::OPERATION || is_output[output]) {
      refuse("its output is operand " + text(output) + ", which no operation makes, or which is an output already");
    }
    is_output[output] = true;
    if (!is_tensor(model.operands[output].kind)) {
      refuse("its output is a number");
    }
  }
  return model;
}

void add_to(ANeuralNetworksModel* made, const Model& model, const Functions& functions) {
  constexpr const char* doing = "take the model";
  const auto count = [](const std::vector<uint32_t>& list) { return static_cast<uint32_t>(list.size()); };
  for (const Operand& operand : model.operands) {
    const ANeuralNetworksOperandType type{
        static_cast<int32_t>(operand.kind),
        count(operand.sizes),
        operand.sizes.empty() ? nullptr : operand.sizes.data(),
        operand.scale,
        operand.zero_point};
    expect_success(functions.Model_addOperand(made, &type), doing, "Model_addOperand");
  }
  for (const Value& value : model.values) {
    expect_success(
        functions.Model_setOperandValue(made, static_cast<int32_t>(value.operand), value.data.data, value.data.bytes),
        doing,
        "Model_setOperandValue");
  }
  for (const Operation& one : model.operations) {
    const int code = functions.Model_addOperation(
        made, one.code, count(one.inputs), one.inputs.data(), count(one.outputs), one.outputs.data());
    expect_success(code, doing, "Model_addOperation");
  }
  const int code = functions.Model_identifyInputsAndOutputs(
      made, count(model.inputs), model.inputs.data(), count(model.outputs), model.outputs.data());
  expect_success(code, doing, "Model_identifyInputsAndOutputs");
}

} // namespace torchlite::nnapi
