/* libneuralnetworks.so for tests: the entry points of Android's NNAPI, which compute float32 models on the CPU, slowly.
 *
 * A caller that breaks the rules of the interface, such as an index that does not exist, ends the process: the runtime
 * has to check before it calls. A model that makes no sense is refused with a code, as the system does.
 *
 * -DAPI_LEVEL=27 leaves out what is newer. The environment: NNAPI_DEVICES is the number of devices, NNAPI_FAIL is the
 * name of a function that returns OP_FAILED, and NNAPI_LOG makes it print what it is given.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef API_LEVEL
#define API_LEVEL 29
#endif
#define EXPORT __attribute__((visibility("default")))

enum { NO_ERROR, OUT_OF_MEMORY, INCOMPLETE, UNEXPECTED_NULL, BAD_DATA, OP_FAILED, BAD_STATE, UNMAPPABLE, TOO_SMALL };
enum { FLOAT32, INT32, UINT32, TENSOR_FLOAT32, TENSOR_INT32, BOOL = 6 };
enum {
  ADD = 0,
  AVERAGE_POOL_2D = 1,
  CONV_2D = 3,
  DEPTHWISE_CONV_2D = 4,
  FULLY_CONNECTED = 9,
  MUL = 18,
  RELU = 19,
  RELU1 = 20,
  RELU6 = 21,
  RESHAPE = 22,
  MEAN = 31,
  SUB = 36,
  TRANSPOSE = 37,
};
#define MOST_DIMENSIONS 8
#define SMALL 128 /* longer values are not copied, as the documentation of the interface says */

#define DEMAND(condition) ((condition) ? (void)0 : demand_failed(#condition, __LINE__))
#define REFUSE_UNLESS(condition) \
  do {                           \
    if (!(condition)) {          \
      return BAD_DATA;           \
    }                            \
  } while (0)

static void demand_failed(const char* condition, int line) {
  fprintf(stderr, "libneuralnetworks: line %d: the caller breaks the rule %s\n", line, condition);
  abort();
}

typedef struct {
  int32_t type;
  uint32_t dimensionCount;
  const uint32_t* dimensions;
  float scale;
  int32_t zeroPoint;
} OperandType;

typedef struct {
  int32_t type;
  uint32_t rank;
  uint32_t sizes[MOST_DIMENSIONS];
  const void* value;
  size_t length;
  unsigned char small[SMALL];
} Operand;

typedef struct {
  int32_t code;
  uint32_t input_count, output;
  uint32_t inputs[64];
} Operation;

typedef struct {
  Operand* operands;
  Operation* operations;
  uint32_t operand_count, operation_count, input_count, output_count;
  uint32_t *inputs, *outputs;
  bool is_finished;
} Model;

typedef struct {
  Model* model;
  bool is_finished;
} Compilation;

typedef struct {
  uint32_t rank;
  uint32_t sizes[MOST_DIMENSIONS];
  float* data;
  bool is_owned;
} Tensor;

typedef struct {
  Model* model;
  Tensor* tensors; /* by operand */
  void** buffers; /* by output */
  size_t* lengths;
} Execution;

static int may_fail(const char* function) {
  const char* failing = getenv("NNAPI_FAIL");
  if (getenv("NNAPI_LOG") != NULL) {
    fprintf(stderr, "libneuralnetworks: %s\n", function);
  }
  return failing != NULL && strcmp(failing, function) == 0 ? OP_FAILED : NO_ERROR;
}

static size_t count_of(uint32_t rank, const uint32_t* sizes) {
  size_t count = 1;
  for (uint32_t i = 0; i < rank; i++) {
    count *= sizes[i];
  }
  return count;
}

static size_t element_of(int32_t type) {
  return type == BOOL ? 1 : 4;
}

/* Models. */

EXPORT int ANeuralNetworksModel_create(Model** made) {
  *made = calloc(1, sizeof(Model));
  return may_fail("Model_create");
}

EXPORT void ANeuralNetworksModel_free(Model* model) {
  if (model != NULL) {
    free(model->operands);
    free(model->operations);
    free(model->inputs);
    free(model->outputs);
    free(model);
  }
}

EXPORT int ANeuralNetworksModel_addOperand(Model* model, const OperandType* type) {
  DEMAND(!model->is_finished);
  DEMAND(type->dimensionCount <= MOST_DIMENSIONS);
  DEMAND(type->dimensionCount == 0 || type->dimensions != NULL);
  REFUSE_UNLESS(type->type <= TENSOR_INT32 || type->type == BOOL);
  model->operands = realloc(model->operands, (model->operand_count + 1) * sizeof(Operand));
  Operand* operand = &model->operands[model->operand_count++];
  memset(operand, 0, sizeof(*operand));
  operand->type = type->type;
  operand->rank = type->dimensionCount;
  memcpy(operand->sizes, type->dimensions == NULL ? operand->sizes : type->dimensions, 4 * type->dimensionCount);
  return may_fail("Model_addOperand");
}

EXPORT int ANeuralNetworksModel_setOperandValue(Model* model, int32_t index, const void* buffer, size_t length) {
  DEMAND(index >= 0 && (uint32_t)index < model->operand_count);
  Operand* operand = &model->operands[index];
  DEMAND(operand->value == NULL && buffer != NULL);
  DEMAND(length == element_of(operand->type) * count_of(operand->rank, operand->sizes));
  operand->length = length;
  operand->value = buffer;
  if (length <= SMALL) {
    memcpy(operand->small, buffer, length);
    operand->value = operand; /* operands move */
  }
  return may_fail("Model_setOperandValue");
}

static const void* value_of(const Operand* operand) {
  return operand->value != NULL && operand->length <= SMALL ? operand->small : operand->value;
}

EXPORT int ANeuralNetworksModel_addOperation(
    Model* model, int32_t code, uint32_t input_count, const uint32_t* inputs, uint32_t output_count,
    const uint32_t* outputs) {
  REFUSE_UNLESS(input_count <= 64);
  DEMAND(output_count == 1);
  DEMAND(outputs[0] < model->operand_count);
  model->operations = realloc(model->operations, (model->operation_count + 1) * sizeof(Operation));
  Operation* operation = &model->operations[model->operation_count++];
  operation->code = code;
  operation->input_count = input_count;
  operation->output = outputs[0];
  for (uint32_t i = 0; i < input_count; i++) {
    DEMAND(inputs[i] < model->operand_count);
    operation->inputs[i] = inputs[i];
  }
  return may_fail("Model_addOperation");
}

static uint32_t* copy_indices(const Model* model, uint32_t count, const uint32_t* from) {
  uint32_t* copy = malloc(4 * (size_t)count);
  for (uint32_t i = 0; i < count; i++) {
    DEMAND(from[i] < model->operand_count);
    copy[i] = from[i];
  }
  return copy;
}

EXPORT int ANeuralNetworksModel_identifyInputsAndOutputs(
    Model* model, uint32_t input_count, const uint32_t* inputs, uint32_t output_count, const uint32_t* outputs) {
  model->inputs = copy_indices(model, input_count, inputs);
  model->input_count = input_count;
  model->outputs = copy_indices(model, output_count, outputs);
  model->output_count = output_count;
  return may_fail("Model_identifyInputsAndOutputs");
}

EXPORT int ANeuralNetworksModel_finish(Model* model) {
  DEMAND(model->inputs != NULL);
  model->is_finished = true;
  return may_fail("Model_finish");
}

/* Compilations. */

EXPORT int ANeuralNetworksCompilation_create(Model* model, Compilation** made) {
  DEMAND(model->is_finished);
  *made = calloc(1, sizeof(Compilation));
  (*made)->model = model;
  return may_fail("Compilation_create");
}

EXPORT void ANeuralNetworksCompilation_free(Compilation* compilation) {
  free(compilation);
}

EXPORT int ANeuralNetworksCompilation_setPreference(Compilation* compilation, int32_t preference) {
  DEMAND(!compilation->is_finished && preference >= 0 && preference <= 2);
  return may_fail("Compilation_setPreference");
}

EXPORT int ANeuralNetworksCompilation_finish(Compilation* compilation) {
  compilation->is_finished = true;
  return may_fail("Compilation_finish");
}

/* Kernels. They make the output tensor. */

typedef struct {
  Execution* execution;
  const Operation* operation;
} Call;

static Tensor* tensor_of(Call call, uint32_t index) {
  return &call.execution->tensors[call.operation->inputs[index]];
}

static bool is_float_tensor(Call call, uint32_t index) {
  return call.execution->model->operands[call.operation->inputs[index]].type == TENSOR_FLOAT32 &&
      tensor_of(call, index)->data != NULL;
}

static bool is_number(Call call, uint32_t index, int32_t type) {
  const Operand* operand = &call.execution->model->operands[call.operation->inputs[index]];
  return operand->type == type && operand->value != NULL;
}

static int32_t integer_of(Call call, uint32_t index) {
  return *(const int32_t*)value_of(&call.execution->model->operands[call.operation->inputs[index]]);
}

static bool boolean_of(Call call, uint32_t index) {
  return *(const uint8_t*)value_of(&call.execution->model->operands[call.operation->inputs[index]]) != 0;
}

static Tensor* make_output(Call call, uint32_t rank, const uint32_t* sizes) {
  Tensor* made = &call.execution->tensors[call.operation->output];
  const Operand* operand = &call.execution->model->operands[call.operation->output];
  if (operand->type != TENSOR_FLOAT32 || operand->rank != rank) {
    return NULL;
  }
  for (uint32_t i = 0; i < rank; i++) {
    if (operand->sizes[i] != 0 && operand->sizes[i] != sizes[i]) {
      return NULL;
    }
  }
  made->rank = rank;
  memcpy(made->sizes, sizes, 4 * rank);
  made->data = calloc(count_of(rank, sizes) + 1, sizeof(float));
  made->is_owned = true;
  return made->data == NULL ? NULL : made;
}

static float activate(int32_t fuse, float value) {
  const float low = fuse == 2 ? -1 : 0, high = fuse == 2 ? 1 : fuse == 3 ? 6 : 1e38F;
  return fuse == 0 ? value : value < low ? low : value > high ? high : value;
}

typedef struct {
  uint32_t sizes[4]; /* batch, rows, columns, channels */
  size_t steps[4];
} Image;

static Image image_of(const uint32_t* sizes, bool nchw) {
  static const int places[2][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}};
  size_t steps[4] = {(size_t)sizes[1] * sizes[2] * sizes[3], (size_t)sizes[2] * sizes[3], sizes[3], 1};
  Image image;
  for (int i = 0; i < 4; i++) {
    image.sizes[i] = sizes[places[nchw][i]];
    image.steps[i] = steps[places[nchw][i]];
  }
  return image;
}

typedef struct {
  int32_t left, right, top, bottom, step_x, step_y;
} Window;

static bool read_window(Call call, uint32_t first, Window* window) {
  for (uint32_t i = first; i < first + 6; i++) {
    if (!is_number(call, i, INT32) || integer_of(call, i) < 0 || integer_of(call, i) > 4096) {
      return false;
    }
  }
  *window = (Window){integer_of(call, first), integer_of(call, first + 1), integer_of(call, first + 2),
                     integer_of(call, first + 3), integer_of(call, first + 4), integer_of(call, first + 5)};
  return window->step_x > 0 && window->step_y > 0;
}

/* Sizes of what windows of `rows` x `columns` make of `image`. */
static bool slide(
    const Image* image, const Window* window, int32_t rows, int32_t columns, uint32_t channels, bool nchw,
    uint32_t* sizes) {
  int64_t height = (int64_t)image->sizes[1] + window->top + window->bottom - rows;
  int64_t width = (int64_t)image->sizes[2] + window->left + window->right - columns;
  if (height < 0 || width < 0) {
    return false;
  }
  uint32_t made[4] = {image->sizes[0], (uint32_t)(height / window->step_y) + 1, (uint32_t)(width / window->step_x) + 1, channels};
  sizes[0] = made[0];
  sizes[1] = nchw ? made[3] : made[1];
  sizes[2] = nchw ? made[1] : made[2];
  sizes[3] = nchw ? made[2] : made[3];
  return true;
}

static int convolve(Call call, bool is_depthwise) {
  const uint32_t fuse_at = is_depthwise ? 10 : 9;
  const uint32_t count = call.operation->input_count;
  REFUSE_UNLESS(count == fuse_at + 1 || count == fuse_at + 2);
  REFUSE_UNLESS(is_float_tensor(call, 0) && is_float_tensor(call, 1) && is_float_tensor(call, 2));
  Window window;
  REFUSE_UNLESS(read_window(call, 3, &window) && is_number(call, fuse_at, INT32));
  REFUSE_UNLESS(count == fuse_at + 1 || is_number(call, fuse_at + 1, BOOL));
  REFUSE_UNLESS(!is_depthwise || (is_number(call, 9, INT32) && integer_of(call, 9) == 1));
  const bool nchw = count == fuse_at + 2 && boolean_of(call, fuse_at + 1);
  const int32_t fuse = integer_of(call, fuse_at);
  Tensor *input = tensor_of(call, 0), *weight = tensor_of(call, 1), *bias = tensor_of(call, 2);
  REFUSE_UNLESS(input->rank == 4 && weight->rank == 4 && bias->rank == 1);
  const Image from = image_of(input->sizes, nchw);
  const uint32_t rows = weight->sizes[1], columns = weight->sizes[2];
  const uint32_t channels = is_depthwise ? weight->sizes[3] : weight->sizes[0];
  REFUSE_UNLESS(weight->sizes[3] == from.sizes[3] && bias->sizes[0] == channels && rows < 4096 && columns < 4096);
  uint32_t sizes[4];
  REFUSE_UNLESS(slide(&from, &window, (int32_t)rows, (int32_t)columns, channels, nchw, sizes));
  Tensor* output = make_output(call, 4, sizes);
  REFUSE_UNLESS(output != NULL);
  const Image to = image_of(sizes, nchw);
  for (uint32_t n = 0; n < to.sizes[0]; n++) {
    for (uint32_t c = 0; c < channels; c++) {
      for (uint32_t y = 0; y < to.sizes[1]; y++) {
        for (uint32_t x = 0; x < to.sizes[2]; x++) {
          float sum = bias->data[c];
          for (uint32_t i = 0; i < rows; i++) {
            const int64_t row = (int64_t)y * window.step_y - window.top + i;
            for (uint32_t j = 0; j < columns && row >= 0 && row < from.sizes[1]; j++) {
              const int64_t column = (int64_t)x * window.step_x - window.left + j;
              if (column < 0 || column >= from.sizes[2]) {
                continue;
              }
              const float* pixel = input->data + n * from.steps[0] + row * from.steps[1] + column * from.steps[2];
              if (is_depthwise) {
                sum += pixel[c * from.steps[3]] * weight->data[((size_t)i * columns + j) * channels + c];
                continue;
              }
              const float* taps = weight->data + (((size_t)c * rows + i) * columns + j) * from.sizes[3];
              for (uint32_t k = 0; k < from.sizes[3]; k++) {
                sum += pixel[k * from.steps[3]] * taps[k];
              }
            }
          }
          output->data[n * to.steps[0] + y * to.steps[1] + x * to.steps[2] + c * to.steps[3]] = activate(fuse, sum);
        }
      }
    }
  }
  return NO_ERROR;
}

static int average(Call call) {
  const uint32_t count = call.operation->input_count;
  REFUSE_UNLESS(count == 10 || count == 11);
  Window window;
  REFUSE_UNLESS(is_float_tensor(call, 0) && read_window(call, 1, &window) && tensor_of(call, 0)->rank == 4);
  REFUSE_UNLESS(is_number(call, 7, INT32) && is_number(call, 8, INT32) && is_number(call, 9, INT32));
  REFUSE_UNLESS(count == 10 || is_number(call, 10, BOOL));
  const bool nchw = count == 11 && boolean_of(call, 10);
  const int32_t columns = integer_of(call, 7), rows = integer_of(call, 8), fuse = integer_of(call, 9);
  REFUSE_UNLESS(columns > 0 && rows > 0 && columns < 4096 && rows < 4096);
  const Tensor* input = tensor_of(call, 0);
  const Image from = image_of(input->sizes, nchw);
  uint32_t sizes[4];
  REFUSE_UNLESS(slide(&from, &window, rows, columns, from.sizes[3], nchw, sizes));
  Tensor* output = make_output(call, 4, sizes);
  REFUSE_UNLESS(output != NULL);
  const Image to = image_of(sizes, nchw);
  for (uint32_t n = 0; n < to.sizes[0]; n++) {
    for (uint32_t c = 0; c < to.sizes[3]; c++) {
      for (uint32_t y = 0; y < to.sizes[1]; y++) {
        for (uint32_t x = 0; x < to.sizes[2]; x++) {
          float sum = 0;
          int32_t met = 0;
          for (int32_t i = 0; i < rows; i++) {
            const int64_t row = (int64_t)y * window.step_y - window.top + i;
            for (int32_t j = 0; j < columns; j++) {
              const int64_t column = (int64_t)x * window.step_x - window.left + j;
              if (row >= 0 && row < from.sizes[1] && column >= 0 && column < from.sizes[2]) {
                sum += input->data[n * from.steps[0] + row * from.steps[1] + column * from.steps[2] + c * from.steps[3]];
                met++;
              }
            }
          }
          output->data[n * to.steps[0] + y * to.steps[1] + x * to.steps[2] + c * to.steps[3]] =
              activate(fuse, met == 0 ? 0 : sum / (float)met);
        }
      }
    }
  }
  return NO_ERROR;
}

static int connect(Call call) {
  REFUSE_UNLESS(is_float_tensor(call, 0) && is_float_tensor(call, 1) && is_float_tensor(call, 2));
  REFUSE_UNLESS(call.operation->input_count == 4 && is_number(call, 3, INT32));
  const Tensor *input = tensor_of(call, 0), *weight = tensor_of(call, 1), *bias = tensor_of(call, 2);
  REFUSE_UNLESS(weight->rank == 2 && bias->rank == 1 && bias->sizes[0] == weight->sizes[0] && weight->sizes[1] > 0);
  const uint32_t units = weight->sizes[0], depth = weight->sizes[1];
  const size_t elements = count_of(input->rank, input->sizes);
  REFUSE_UNLESS(elements % depth == 0);
  const uint32_t sizes[2] = {(uint32_t)(elements / depth), units};
  Tensor* output = make_output(call, 2, sizes);
  REFUSE_UNLESS(output != NULL);
  for (uint32_t n = 0; n < sizes[0]; n++) {
    for (uint32_t u = 0; u < units; u++) {
      float sum = bias->data[u];
      for (uint32_t k = 0; k < depth; k++) {
        sum += input->data[(size_t)n * depth + k] * weight->data[(size_t)u * depth + k];
      }
      output->data[(size_t)n * units + u] = activate(integer_of(call, 3), sum);
    }
  }
  return NO_ERROR;
}

static int combine(Call call) {
  REFUSE_UNLESS(is_float_tensor(call, 0) && is_float_tensor(call, 1) && is_number(call, 2, INT32));
  const Tensor *one = tensor_of(call, 0), *other = tensor_of(call, 1);
  REFUSE_UNLESS(one->rank == other->rank);
  uint32_t sizes[MOST_DIMENSIONS] = {0};
  for (uint32_t i = 0; i < one->rank; i++) {
    REFUSE_UNLESS(one->sizes[i] == other->sizes[i] || one->sizes[i] == 1 || other->sizes[i] == 1);
    sizes[i] = one->sizes[i] == 1 ? other->sizes[i] : one->sizes[i];
  }
  Tensor* output = make_output(call, one->rank, sizes);
  REFUSE_UNLESS(output != NULL);
  const size_t count = count_of(one->rank, sizes);
  for (size_t place = 0; place < count; place++) {
    size_t rest = place, at_one = 0, at_other = 0, step_one = 1, step_other = 1;
    for (uint32_t i = one->rank; i-- > 0;) {
      const size_t index = rest % sizes[i];
      rest /= sizes[i];
      at_one += one->sizes[i] == 1 ? 0 : index * step_one;
      at_other += other->sizes[i] == 1 ? 0 : index * step_other;
      step_one *= one->sizes[i];
      step_other *= other->sizes[i];
    }
    const float a = one->data[at_one], b = other->data[at_other];
    const float made = call.operation->code == ADD ? a + b : call.operation->code == SUB ? a - b : a * b;
    output->data[place] = activate(integer_of(call, 2), made);
  }
  return NO_ERROR;
}

static int clamp(Call call, int32_t fuse) {
  REFUSE_UNLESS(is_float_tensor(call, 0));
  const Tensor* input = tensor_of(call, 0);
  Tensor* output = make_output(call, input->rank, input->sizes);
  REFUSE_UNLESS(output != NULL);
  const size_t count = count_of(input->rank, input->sizes);
  for (size_t i = 0; i < count; i++) {
    output->data[i] = activate(fuse, input->data[i]);
  }
  return NO_ERROR;
}

static const int32_t* list_of(Call call, uint32_t index, uint32_t* count) {
  const Operand* operand = &call.execution->model->operands[call.operation->inputs[index]];
  if (operand->type != TENSOR_INT32 || operand->rank != 1 || operand->value == NULL) {
    return NULL;
  }
  *count = operand->sizes[0];
  return value_of(operand);
}

static int reshape(Call call) {
  uint32_t rank = 0, sizes[MOST_DIMENSIONS] = {0};
  const int32_t* wanted = list_of(call, 1, &rank);
  REFUSE_UNLESS(is_float_tensor(call, 0) && wanted != NULL && rank <= MOST_DIMENSIONS);
  const Tensor* input = tensor_of(call, 0);
  const size_t count = count_of(input->rank, input->sizes);
  size_t known = 1;
  for (uint32_t i = 0; i < rank; i++) {
    REFUSE_UNLESS(wanted[i] == -1 || wanted[i] > 0);
    known *= wanted[i] == -1 ? 1 : (size_t)wanted[i];
  }
  for (uint32_t i = 0; i < rank; i++) {
    sizes[i] = wanted[i] == -1 ? (uint32_t)(count / known) : (uint32_t)wanted[i];
  }
  REFUSE_UNLESS(count_of(rank, sizes) == count);
  Tensor* output = make_output(call, rank, sizes);
  REFUSE_UNLESS(output != NULL);
  memcpy(output->data, input->data, count * sizeof(float));
  return NO_ERROR;
}

static int transpose(Call call) {
  uint32_t rank = 0, sizes[MOST_DIMENSIONS] = {0};
  REFUSE_UNLESS(call.operation->input_count == 2);
  const int32_t* places = list_of(call, 1, &rank);
  REFUSE_UNLESS(is_float_tensor(call, 0) && places != NULL && rank == tensor_of(call, 0)->rank);
  const Tensor* input = tensor_of(call, 0);
  size_t steps[MOST_DIMENSIONS], step = 1;
  for (uint32_t i = rank; i-- > 0;) {
    steps[i] = step;
    step *= input->sizes[i];
  }
  for (uint32_t i = 0; i < rank; i++) {
    REFUSE_UNLESS(places[i] >= 0 && (uint32_t)places[i] < rank);
    sizes[i] = input->sizes[places[i]];
  }
  Tensor* output = make_output(call, rank, sizes);
  REFUSE_UNLESS(output != NULL && count_of(rank, sizes) == step);
  for (size_t place = 0; place < step; place++) {
    size_t rest = place, from = 0;
    for (uint32_t i = rank; i-- > 0;) {
      from += rest % sizes[i] * steps[places[i]];
      rest /= sizes[i];
    }
    output->data[place] = input->data[from];
  }
  return NO_ERROR;
}

static int mean(Call call) {
  uint32_t axis_count = 0, rank = 0, sizes[MOST_DIMENSIONS] = {0};
  const int32_t* axes = list_of(call, 1, &axis_count);
  REFUSE_UNLESS(is_float_tensor(call, 0) && axes != NULL && is_number(call, 2, INT32));
  const Tensor* input = tensor_of(call, 0);
  const bool keeps = integer_of(call, 2) > 0;
  bool is_reduced[MOST_DIMENSIONS] = {false};
  for (uint32_t i = 0; i < axis_count; i++) {
    const int64_t axis = axes[i] < 0 ? (int64_t)axes[i] + input->rank : axes[i];
    REFUSE_UNLESS(axis >= 0 && axis < input->rank);
    is_reduced[axis] = true;
  }
  for (uint32_t i = 0; i < input->rank; i++) {
    if (!is_reduced[i] || keeps) {
      sizes[rank++] = is_reduced[i] ? 1 : input->sizes[i];
    }
  }
  Tensor* output = make_output(call, rank, sizes);
  REFUSE_UNLESS(output != NULL);
  const size_t count = count_of(input->rank, input->sizes), made = count_of(rank, sizes);
  for (size_t place = 0; place < count; place++) {
    size_t rest = place, to = 0, step = 1;
    for (uint32_t i = input->rank; i-- > 0;) {
      to += is_reduced[i] ? 0 : rest % input->sizes[i] * step;
      step *= is_reduced[i] ? 1 : input->sizes[i];
      rest /= input->sizes[i];
    }
    output->data[to] += input->data[place] * (float)made / (float)count;
  }
  return NO_ERROR;
}

static int call_kernel(Call call) {
  switch (call.operation->code) {
    case ADD:
    case MUL:
    case SUB:
      return combine(call);
    case AVERAGE_POOL_2D:
      return average(call);
    case CONV_2D:
      return convolve(call, false);
    case DEPTHWISE_CONV_2D:
      return convolve(call, true);
    case FULLY_CONNECTED:
      return connect(call);
    case RELU:
      return clamp(call, 1);
    case RELU1:
      return clamp(call, 2);
    case RELU6:
      return clamp(call, 3);
    case RESHAPE:
      return reshape(call);
    case MEAN:
      return mean(call);
    case TRANSPOSE:
      return transpose(call);
    default:
      return BAD_DATA;
  }
}

/* Executions. */

EXPORT int ANeuralNetworksExecution_create(Compilation* compilation, Execution** made) {
  DEMAND(compilation->is_finished);
  Model* model = compilation->model;
  Execution* execution = calloc(1, sizeof(Execution));
  execution->model = model;
  execution->tensors = calloc(model->operand_count, sizeof(Tensor));
  execution->buffers = calloc(model->output_count, sizeof(void*));
  execution->lengths = calloc(model->output_count, sizeof(size_t));
  for (uint32_t i = 0; i < model->operand_count; i++) {
    const Operand* operand = &model->operands[i];
    if (operand->type == TENSOR_FLOAT32 && operand->value != NULL) {
      execution->tensors[i].rank = operand->rank;
      memcpy(execution->tensors[i].sizes, operand->sizes, sizeof(operand->sizes));
      execution->tensors[i].data = (float*)value_of(operand);
    }
  }
  *made = execution;
  return may_fail("Execution_create");
}

EXPORT void ANeuralNetworksExecution_free(Execution* execution) {
  if (execution == NULL) {
    return;
  }
  for (uint32_t i = 0; i < execution->model->operand_count; i++) {
    if (execution->tensors[i].is_owned) {
      free(execution->tensors[i].data);
    }
  }
  free(execution->tensors);
  free(execution->buffers);
  free(execution->lengths);
  free(execution);
}

EXPORT int ANeuralNetworksExecution_setInput(
    Execution* execution, int32_t index, const OperandType* type, const void* buffer, size_t length) {
  DEMAND(index >= 0 && (uint32_t)index < execution->model->input_count);
  const uint32_t place = execution->model->inputs[index];
  const Operand* operand = &execution->model->operands[place];
  DEMAND(type->type == operand->type && type->dimensionCount == operand->rank);
  for (uint32_t i = 0; i < operand->rank; i++) {
    DEMAND(operand->sizes[i] == 0 || operand->sizes[i] == type->dimensions[i]);
  }
  DEMAND(length == 4 * count_of(type->dimensionCount, type->dimensions));
  Tensor* tensor = &execution->tensors[place];
  tensor->rank = type->dimensionCount;
  memcpy(tensor->sizes, type->dimensions, 4 * type->dimensionCount);
  tensor->data = (float*)buffer;
  return may_fail("Execution_setInput");
}

EXPORT int ANeuralNetworksExecution_setOutput(
    Execution* execution, int32_t index, const OperandType* type, void* buffer, size_t length) {
  DEMAND(index >= 0 && (uint32_t)index < execution->model->output_count && type == NULL);
  const Operand* operand = &execution->model->operands[execution->model->outputs[index]];
  const size_t bytes = 4 * count_of(operand->rank, operand->sizes);
  DEMAND(bytes == 0 || bytes == length);
  execution->buffers[index] = buffer;
  execution->lengths[index] = length;
  return may_fail("Execution_setOutput");
}

static int compute(Execution* execution) {
  const Model* model = execution->model;
  for (uint32_t i = 0; i < model->operation_count; i++) {
    const int code = call_kernel((Call){execution, &model->operations[i]});
    if (code != NO_ERROR) {
      return code;
    }
  }
  for (uint32_t i = 0; i < model->output_count; i++) {
    const Tensor* tensor = &execution->tensors[model->outputs[i]];
    const size_t bytes = sizeof(float) * count_of(tensor->rank, tensor->sizes);
    if (bytes > execution->lengths[i]) {
      return TOO_SMALL;
    }
    memcpy(execution->buffers[i], tensor->data, bytes);
  }
  return NO_ERROR;
}

EXPORT int ANeuralNetworksExecution_startCompute(Execution* execution, void** event) {
  const int code = may_fail("Execution_startCompute");
  *event = malloc(1);
  return code == NO_ERROR ? compute(execution) : code;
}

EXPORT int ANeuralNetworksEvent_wait(void* event) {
  DEMAND(event != NULL);
  return may_fail("Event_wait");
}

EXPORT void ANeuralNetworksEvent_free(void* event) {
  free(event);
}

#if API_LEVEL >= 28
EXPORT int ANeuralNetworksModel_relaxComputationFloat32toFloat16(Model* model, bool allow) {
  DEMAND(!model->is_finished && allow);
  return may_fail("Model_relaxComputationFloat32toFloat16");
}
#endif

#if API_LEVEL >= 29
EXPORT int ANeuralNetworks_getDeviceCount(uint32_t* count) {
  const char* devices = getenv("NNAPI_DEVICES");
  *count = devices == NULL ? 1 : (uint32_t)atoi(devices);
  return NO_ERROR;
}

EXPORT int ANeuralNetworksExecution_compute(Execution* execution) {
  const int code = may_fail("Execution_compute");
  return code == NO_ERROR ? compute(execution) : code;
}

EXPORT int ANeuralNetworksExecution_getOutputOperandRank(Execution* execution, int32_t index, uint32_t* rank) {
  *rank = execution->tensors[execution->model->outputs[index]].rank;
  return may_fail("Execution_getOutputOperandRank");
}

EXPORT int ANeuralNetworksExecution_getOutputOperandDimensions(Execution* execution, int32_t index, uint32_t* sizes) {
  const Tensor* tensor = &execution->tensors[execution->model->outputs[index]];
  memcpy(sizes, tensor->sizes, 4 * tensor->rank);
  return may_fail("Execution_getOutputOperandDimensions");
}
#endif
