// The part of Android's NNAPI that models use: types, codes and functions of NeuralNetworks.h, by their public names
// and values. The functions are variables, because the library is opened when a model needs it.

#pragma once

#include <cstddef>
#include <cstdint>

struct ANeuralNetworksCompilation;
struct ANeuralNetworksEvent;
struct ANeuralNetworksExecution;
struct ANeuralNetworksModel;

struct ANeuralNetworksOperandType {
  int32_t type;
  uint32_t dimensionCount;
  const uint32_t* dimensions;
  float scale;
  int32_t zeroPoint;
};

// Name, and the types of the arguments; all return a code, 0 for success. API level 27 has them.
#define TORCHLITE_NNAPI_CALLS(_)                                                                                       \
  _(Model_create, ANeuralNetworksModel**)                                                                              \
  _(Model_finish, ANeuralNetworksModel*)                                                                               \
  _(Model_addOperand, ANeuralNetworksModel*, const ANeuralNetworksOperandType*)                                        \
  _(Model_setOperandValue, ANeuralNetworksModel*, int32_t, const void*, size_t)                                        \
  _(Model_addOperation, ANeuralNetworksModel*, int32_t, uint32_t, const uint32_t*, uint32_t, const uint32_t*)          \
  _(Model_identifyInputsAndOutputs, ANeuralNetworksModel*, uint32_t, const uint32_t*, uint32_t, const uint32_t*)       \
  _(Compilation_create, ANeuralNetworksModel*, ANeuralNetworksCompilation**)                                           \
  _(Compilation_setPreference, ANeuralNetworksCompilation*, int32_t)                                                   \
  _(Compilation_finish, ANeuralNetworksCompilation*)                                                                   \
  _(Execution_create, ANeuralNetworksCompilation*, ANeuralNetworksExecution**)                                         \
  _(Execution_setInput, ANeuralNetworksExecution*, int32_t, const ANeuralNetworksOperandType*, const void*, size_t)    \
  _(Execution_setOutput, ANeuralNetworksExecution*, int32_t, const ANeuralNetworksOperandType*, void*, size_t)         \
  _(Execution_startCompute, ANeuralNetworksExecution*, ANeuralNetworksEvent**)                                         \
  _(Event_wait, ANeuralNetworksEvent*)

// The same, of later levels: they may be null.
#define TORCHLITE_NNAPI_LATER_CALLS(_)                                                                                 \
  _(Model_relaxComputationFloat32toFloat16, ANeuralNetworksModel*, bool)                                               \
  _(Execution_compute, ANeuralNetworksExecution*)                                                                      \
  _(Execution_getOutputOperandRank, ANeuralNetworksExecution*, int32_t, uint32_t*)                                     \
  _(Execution_getOutputOperandDimensions, ANeuralNetworksExecution*, int32_t, uint32_t*)

// These free what they are given. API level 27 has them.
#define TORCHLITE_NNAPI_FREES(_) _(Model) _(Compilation) _(Execution) _(Event)

namespace torchlite::nnapi {

struct Functions {
#define TORCHLITE_DECLARE(name, ...) int (*name)(__VA_ARGS__);
  TORCHLITE_NNAPI_CALLS(TORCHLITE_DECLARE)
  TORCHLITE_NNAPI_LATER_CALLS(TORCHLITE_DECLARE)
#undef TORCHLITE_DECLARE
#define TORCHLITE_DECLARE(name) void (*name##_free)(ANeuralNetworks##name*);
  TORCHLITE_NNAPI_FREES(TORCHLITE_DECLARE)
#undef TORCHLITE_DECLARE
  int (*getDeviceCount)(uint32_t*); // API level 29
};

// Opens the system's NNAPI at the first call. Throws std::runtime_error with the reason where there is none, or where it
// has no device.
const Functions& open_library();

// Throws std::runtime_error if `code` is an error: "NNAPI refuses the model: BAD_DATA (4), from Model_addOperation".
void expect_success(int code, const char* doing, const char* function);

} // namespace torchlite::nnapi
