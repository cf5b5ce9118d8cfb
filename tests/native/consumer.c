/* Uses the C API, also wrongly; says how far it got by its exit code. argv[1]: an identity of 3x8. */
#include <stdio.h>
#include <string.h>
#include <torchlite.h>

int main(int argc, char** argv) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  float data[24] = {0};
  int64_t sizes[2] = {3, 8};
  torchlite_tensor input = {TORCHLITE_FLOAT32, 2, sizes, data}, output;
  if (torchlite_load("/nowhere", &module) != TORCHLITE_LOAD_FAILED || !*torchlite_error()) return 1;
  if (torchlite_load(NULL, &module) != TORCHLITE_INVALID_ARGUMENT) return 2;
  if (torchlite_load(argv[1], &module) != TORCHLITE_OK) return 3;
  if (torchlite_run_method(module, "nothing", &input, 1, &result) != TORCHLITE_RUN_FAILED) return 4;
  input.dtype = (torchlite_dtype)99;
  if (torchlite_forward(module, &input, 1, &result) != TORCHLITE_INVALID_ARGUMENT) return 5;
  input.dtype = TORCHLITE_FLOAT32;
  if (torchlite_forward(module, &input, 1, &result) != TORCHLITE_OK) return 6;
  memset(data, 1, sizeof data);
  if (torchlite_result_count(result) != 1) return 7;
  if (torchlite_result_tensor(result, 1, &output) != TORCHLITE_INVALID_ARGUMENT) return 8;
  if (torchlite_result_tensor(result, 0, &output) != TORCHLITE_OK) return 9;
  if (output.dims != 1 || output.sizes[0] != 24) return 10;
  if (((const float*)output.data)[0] != 0.0f) return 11;
  torchlite_result_free(result);
  torchlite_module_free(module);
  torchlite_result_free(NULL);
  printf("%s\n", torchlite_version());
  return 0;
}
