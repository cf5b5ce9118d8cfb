/* Memory that an app takes back: what a model keeps of its inputs, and what results point into. */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/* Writes to what a model returned of its own: the next result is as the first was. */
static int write_to_results(const char* path) {
  torchlite_module* module = NULL;
  if (torchlite_load(path, &module)) return fail(path);
  for (int call = 0; call < 3; call++) {
    torchlite_result* result = NULL;
    if (torchlite_forward(module, NULL, 0, &result)) return fail("forward");
    for (size_t one = 0; one < torchlite_result_count(result); one++) {
      torchlite_tensor output;
      if (torchlite_result_tensor(result, one, &output)) return fail("result");
      float* given = (float*)output.data;
      for (int i = 0; i < COUNT; i++) {
        if (given[i] != (float)i && given[i] != -1) {
          printf("result %zu of call %d of %s holds %g\n", one, call, path, (double)given[i]);
          return 1;
        }
        if (one == 0 && given[i] == -1) return fail("the model holds what the app wrote");
      }
      for (int i = 0; i < COUNT; i++) given[i] = -1;
    }
    torchlite_result_free(result);
  }
  torchlite_module_free(module);
  return 0;
}

/* Calls a model that keeps its input when there is no memory for a copy, and then again. */
static int lack_memory(const char* path) {
  const size_t elements = (size_t)64 << 20;
  torchlite_module* module = NULL;
  if (torchlite_load(path, &module)) return fail(path);
  float* data = calloc(elements, sizeof(float));
  const int64_t sizes[] = {(int64_t)elements};
  torchlite_tensor input = {TORCHLITE_FLOAT32, 1, sizes, data};
  torchlite_result* result = NULL;
  struct rlimit before, limit;
  long pages = 0;
  FILE* usage = fopen("/proc/self/statm", "r");
  if (usage == NULL || fscanf(usage, "%ld", &pages) != 1) return fail("statm");
  fclose(usage);
  getrlimit(RLIMIT_AS, &before);
  limit = before;
  limit.rlim_cur = (rlim_t)pages * 4096 + ((rlim_t)128 << 20);
  setrlimit(RLIMIT_AS, &limit);
  const torchlite_status first = torchlite_forward(module, &input, 1, &result);
  if (first != TORCHLITE_RUN_FAILED || strstr(torchlite_error(), "t allocate memory") == NULL ||
      strstr(torchlite_error(), "enforce") != NULL) return fail("without memory");
  setrlimit(RLIMIT_AS, &before);
  free(data);
  const float one = 1;
  const int64_t single[] = {1};
  input = (torchlite_tensor){TORCHLITE_FLOAT32, 1, single, &one};
  for (int call = 0; call < 2; call++) {
    const torchlite_status later = torchlite_forward(module, &input, 1, &result);
    if (later != TORCHLITE_RUN_FAILED || strstr(torchlite_error(), "load the model again") == NULL) return fail("later");
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

/* Reads a dict whose keys are of several kinds: then it has none that C can be shown. */
static int mix_keys(const char* path) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  torchlite_value value;
  const float one = 1;
  const int64_t sizes[] = {1};
  torchlite_value input = {0};
  input.kind = TORCHLITE_VALUE_TENSOR;
  input.as.tensor = (torchlite_tensor){TORCHLITE_FLOAT32, 1, sizes, &one};
  if (torchlite_load(path, &module)) return fail(path);
  if (torchlite_run_values(module, "forward", &input, 1, &result)) return fail("mixed keys");
  if (torchlite_result_value(result, &value)) return fail("value");
  if (value.kind != TORCHLITE_VALUE_DICT || value.as.group.count != 2) return fail("no dict");
  if (value.as.group.keys != NULL) return fail("keys");
  torchlite_result_free(result);
  torchlite_module_free(module);
  return 0;
}

int main(int count, char** paths) {
  for (int i = 1; i < count; i++) {
    const char* path = paths[i];
    if (strstr(path, "mixed")) {
      if (mix_keys(path)) return 1;
      continue;
    }
    if (strstr(path, "weights") ? outlive_module(path) || write_to_results(path)
                                : keep_inputs(path) || lack_memory(path)) return 1;
  }
  return 0;
}
