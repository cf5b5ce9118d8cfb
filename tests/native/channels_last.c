/* Gives models images whose channels come last; says how far it got by its exit code.
 *
 *     channels_last SCALING IDENTITY MOBILE    x * 2 + 1; x.view(-1); MobileNetV2 of [1, 3, 16, 16] */
#include <math.h>
#include <string.h>
#include <torchlite.h>

enum { kChannels = 3, kDepth = 2, kRows = 4, kColumns = 5, kPixels = kDepth * kRows * kColumns, kImage = 16 * 16 };
static float first[kChannels * kImage], last[kChannels * kImage], outputs[kChannels * kImage];

/* The channels of `pixels` pixels, first and last; each element has another value. */
static void fill(int pixels) {
  for (int c = 0; c < kChannels; c++) {
    for (int p = 0; p < pixels; p++) {
      first[c * pixels + p] = last[p * kChannels + c] = (float)(c * pixels + p) / 8;
    }
  }
}

static torchlite_status run(const char* path, torchlite_kind kind, int32_t dims, const int64_t* sizes) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  torchlite_tensor output;
  torchlite_value value;
  memset(&value, 0, sizeof value);
  value.kind = kind;
  value.as.tensor.dtype = TORCHLITE_FLOAT32;
  value.as.tensor.dims = dims;
  value.as.tensor.sizes = sizes;
  value.as.tensor.data = kind == TORCHLITE_VALUE_CHANNELS_LAST ? last : first;
  torchlite_status status = torchlite_load(path, &module);
  if (status == TORCHLITE_OK) status = torchlite_run_values(module, "forward", &value, 1, &result);
  torchlite_module_free(module);
  if (status != TORCHLITE_OK) return status;
  status = torchlite_result_tensor(result, 0, &output);
  size_t count = 1;
  for (int32_t i = 0; i < output.dims; i++) count *= (size_t)output.sizes[i];
  if (count > 0) memcpy(outputs, output.data, count * sizeof *outputs);
  torchlite_result_free(result);
  return status;
}

/* Outputs are row-major whatever the inputs are. */
static int scales(const char* path, int32_t dims, const int64_t* sizes, int pixels) {
  fill(pixels);
  memset(outputs, 0, sizeof outputs);
  if (run(path, TORCHLITE_VALUE_CHANNELS_LAST, dims, sizes)) return 0;
  for (int i = 0; i < kChannels * pixels; i++) {
    if (outputs[i] != first[i] * 2 + 1) return 0;
  }
  return 1;
}

int main(int count, char** arguments) {
  static const int64_t flat[] = {1, kChannels, kDepth * kRows, kColumns}, deep[] = {1, kChannels, kDepth, kRows, kColumns};
  static const int64_t row[] = {kChannels, kPixels}, empty[] = {0, INT64_MAX / 64, 3, 3};
  static const int64_t image[] = {1, kChannels, 16, 16};
  if (count != 4) return 1;
  if (!scales(arguments[1], 4, flat, kPixels)) return 2;
  if (!scales(arguments[1], 5, deep, kPixels)) return 3;
  if (run(arguments[1], TORCHLITE_VALUE_CHANNELS_LAST, 2, row) != TORCHLITE_INVALID_ARGUMENT) return 4;
  if (run(arguments[1], TORCHLITE_VALUE_CHANNELS_LAST, 0, NULL) != TORCHLITE_INVALID_ARGUMENT) return 5;
  if (run(arguments[1], TORCHLITE_VALUE_CHANNELS_LAST, 4, NULL) != TORCHLITE_INVALID_ARGUMENT) return 6;
  if (run(arguments[1], TORCHLITE_VALUE_CHANNELS_LAST, 4, empty) == TORCHLITE_INVALID_ARGUMENT) return 7;
  if (run(arguments[2], TORCHLITE_VALUE_CHANNELS_LAST, 4, flat) != TORCHLITE_RUN_FAILED) return 8; /* as PyTorch's view */
  fill(kImage);
  if (run(arguments[3], TORCHLITE_VALUE_TENSOR, 4, image)) return 9;
  const float wanted[] = {outputs[0], outputs[1], outputs[2], outputs[3], outputs[4]};
  if (run(arguments[3], TORCHLITE_VALUE_CHANNELS_LAST, 4, image)) return 10;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    if (!(fabsf(outputs[i] - wanted[i]) <= 1e-4f * fmaxf(1, fabsf(wanted[i])))) return 11;
  }
  return 0;
}
