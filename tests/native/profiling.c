/* Measures the operators of a model, and says how far it got by its exit code. argv[1]: scaling.ptl, which multiplies
 * float32 of 3x8. Prints "NAME CALLS" of each operator in three calls. */
#include <stdio.h>
#include <string.h>
#include <torchlite.h>

static float data[24];
static const int64_t sizes[] = {3, 8};

static torchlite_status run(torchlite_module* module, int32_t dims) {
  const torchlite_tensor input = {TORCHLITE_FLOAT32, dims, sizes, data};
  torchlite_result* result = NULL;
  const torchlite_status status = torchlite_forward(module, &input, 1, &result);
  torchlite_result_free(result);
  return status;
}

static int is_empty(torchlite_module* module) {
  const torchlite_operator_time* times = NULL;
  size_t count = 9;
  return torchlite_profile_stop(module, &times, &count) == TORCHLITE_OK && count == 0;
}

int main(int argc, char** argv) {
  torchlite_module *module = NULL, *other = NULL;
  const torchlite_operator_time* times = NULL;
  size_t count = 0;
  if (argc < 2 || torchlite_load(argv[1], &module) || torchlite_load(argv[1], &other)) return 1;
  if (torchlite_profile_start(NULL) != TORCHLITE_INVALID_ARGUMENT || !*torchlite_error()) return 2;
  if (torchlite_profile_stop(NULL, &times, &count) != TORCHLITE_INVALID_ARGUMENT) return 3;
  if (torchlite_profile_stop(module, NULL, &count) != TORCHLITE_INVALID_ARGUMENT) return 4;
  if (torchlite_profile_stop(module, &times, NULL) != TORCHLITE_INVALID_ARGUMENT) return 5;
  if (run(module, 2) || !is_empty(module)) return 6; /* never started */
  if (torchlite_profile_start(module)) return 7;
  if (run(module, 2) || run(module, 2) || run(module, 2) || run(other, 2)) return 8;
  if (run(module, -1) != TORCHLITE_INVALID_ARGUMENT) return 9;
  if (torchlite_profile_stop(module, &times, &count) || count == 0 || !is_empty(other)) return 10;
  uint64_t spent = 0;
  for (size_t i = 0; i < count; i++) {
    printf("%s%s%s %d\n", times[i].name, *times[i].overload ? "." : "", times[i].overload, (int)times[i].calls);
    spent += times[i].nanoseconds;
  }
  if (spent == 0) return 11;
  const uint64_t calls = times[0].calls;
  if (run(module, 2) || times[0].calls != calls) return 12; /* it has been stopped */
  if (torchlite_profile_start(module) || !is_empty(module)) return 13; /* forgotten */
  torchlite_module_free(module);
  torchlite_module_free(other);
  return 0;
}
