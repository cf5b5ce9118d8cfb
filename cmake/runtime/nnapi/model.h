// A model for NNAPI as torch.backends._nnapi serializes it (aten/src/ATen/nnapi/nnapi_model_loader.cpp), checked. It
// comes from a file, so nothing in it is trusted: drivers are given only what has passed here.

#pragma once

#include "neural_networks.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace torchlite::nnapi {

// OperandCode of NeuralNetworks.h, as far as models have them.
enum class Kind : int32_t {
  FLOAT32 = 0,
  INT32 = 1,
  UINT32 = 2,
  TENSOR_FLOAT32 = 3,
  TENSOR_INT32 = 4,
  TENSOR_QUANT8_ASYMM = 5,
  BOOL = 6,
  TENSOR_QUANT16_SYMM = 7,
  TENSOR_FLOAT16 = 8,
  TENSOR_BOOL8 = 9,
  FLOAT16 = 10,
  TENSOR_QUANT16_ASYMM = 12,
  TENSOR_QUANT8_SYMM = 13,
};

constexpr uint32_t most_dimensions = 8;

// Bytes in memory: a tensor that a model was given for its weights.
struct Buffer {
  const uint8_t* data;
  size_t bytes;
};

struct Operand {
  Kind kind;
  // A size of 0 is known only when the model runs.
  std::vector<uint32_t> sizes;
  float scale;
  int32_t zero_point;
  // 0 where a size is not known.
  size_t bytes;
};

struct Value {
  uint32_t operand;
  Buffer data;
};

struct Operation {
  int32_t code;
  std::vector<uint32_t> inputs;
  std::vector<uint32_t> outputs;
};

struct Model {
  std::vector<Operand> operands;
  std::vector<Value> values;
  std::vector<Operation> operations;
  std::vector<uint32_t> inputs;
  std::vector<uint32_t> outputs;
};

// Bytes of an element. Throws std::runtime_error where the kind is unknown.
size_t size_of_element(Kind kind);

// Reads a serialized model. Values point into `words` and `buffers`, which have to outlive the result. Time and memory
// are bounded by the number of words.
//
// Throws std::runtime_error with the reason where it is not what torch.backends._nnapi writes.
Model read_model(const std::vector<uint32_t>& words, const std::vector<Buffer>& buffers);

// Gives a model to NNAPI. Throws std::runtime_error with NNAPI's code where it is refused.
void add_to(ANeuralNetworksModel* made, const Model& model, const Functions& functions);

} // namespace torchlite::nnapi
