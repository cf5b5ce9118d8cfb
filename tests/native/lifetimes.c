/* Memory that an app takes back: what a model keeps of its inputs, and what results point into. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <torchlite.h>

enum { COUNT = 4096 };

static int fail(const char* what) {
  printf("%s: %s\n", what, torchlite_error());
  return 1;
}

/* Calls a model that returns what it was given before; each input is overwritten and freed. */
static int keep_inputs(const char* path) {
  torchlite_module* module = NULL;
  if (torchlite_load(path, &module)) return fail(path);
  for (int call = 0; call < 50; call++) {
    float* data = malloc(COUNT * sizeof(float));
    for (int i = 0; i < COUNT; i++) data[i] = (float)call;
    const int64_t sizes[] = {COUNT};
    const torchlite_tensor input = {TORCHLITE_FLOAT32, 1, sizes, data};
    torchlite_result* result = NULL;
    if (torchlite_forward(module, &input, 1, &result)) return fail("forward");
    memset(data, 0x41, COUNT * sizeof(float));
    free(data);
    torchlite_tensor output;
    if (torchlite_result_tensor(result, 0, &output)) return fail("result");
    const float* given = output.data;
    for (int i = 0; call > 0 && i < COUNT; i++) {
      if (given[i] != (float)(call - 1)) {
        printf("call %d of %s returned %g\n", call, path, (double)given[i]);
        return 1;
      }
    }
    torchlite_result_free(result);
  }
  torchlite_module_free(module);
  return 0;
}

/* Reads a result that is a tensor of the model when the model is gone and its memory is used again. */
static int outlive_module(const char* path) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  if (torchlite_load(path, &module)) return fail(path);
  if (torchlite_forward(module, NULL, 0, &result)) return fail("forward");
  torchlite_module_free(module);
  for (int size = 256; size < 1 << 20; size *= 2) memset(malloc((size_t)size), 0x41, (size_t)size);
  torchlite_tensor output;
  if (torchlite_result_tensor(result, 0, &output)) return fail("result");
  const float* given = output.data;
  for (int i = 0; i < COUNT; i++) {
    if (given[i] != (float)i) {
      printf("%s holds %g\n", path, (double)given[i]);
      return 1;
    }
  }
  torchlite_result_free(result);
  return 0;
}

int main(int count, char** paths) {
  for (int i = 1; i < count; i++) {
    if (strstr(paths[i], "weights") ? outlive_module(paths[i]) : keep_inputs(paths[i])) return 1;
  }
  return 0;
}
