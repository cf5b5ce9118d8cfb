/* Calls the C API for long and from many threads; prints the line that failed, or nothing.
 *
 *     endurance MODEL    MODEL takes one float32 tensor of [1, 3, 16, 16] */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <torchlite.h>
#include <unistd.h>

enum {
  kWarm = 50, /* rounds until caches and arenas have their size */
  kRounds = 400,
  kThreads = 8,
  kGrowth = 8 << 20, /* bytes; a leaked module or result of each round would be more */
};
static const char* path;
static float image[3 * 16 * 16];
static const int64_t sizes[] = {1, 3, 16, 16};

#define CHECK(truth) \
  if (!(truth)) { \
    printf("line %d: %s\n", __LINE__, torchlite_error()); \
    return 1; \
  }

static long resident(void) {
  long pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (fscanf(file, "%*d %ld", &pages) != 1) {
    pages = 0;
  }
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static int descriptors(void) {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL) {
    count++;
  }
  closedir(folder);
  return count;
}

static int run(torchlite_module* module, float* outputs) {
  torchlite_result* result = NULL;
  torchlite_tensor tensor = {TORCHLITE_FLOAT32, 4, sizes, image}, output;
  CHECK(torchlite_forward(module, &tensor, 1, &result) == TORCHLITE_OK)
  CHECK(torchlite_result_tensor(result, 0, &output) == TORCHLITE_OK)
  memcpy(outputs, output.data, 5 * sizeof *outputs);
  torchlite_result_free(result);
  return 0;
}

static int fail(torchlite_module* module) {
  torchlite_result* result = NULL;
  torchlite_module* other = NULL;
  torchlite_tensor tensor = {TORCHLITE_FLOAT32, 3, sizes, image};
  CHECK(torchlite_forward(module, &tensor, 1, &result) == TORCHLITE_RUN_FAILED)
  CHECK(torchlite_load_buffer("PK\3\4abcd", 8, &other) == TORCHLITE_LOAD_FAILED)
  return 0;
}

static int one_round(const float* wanted) {
  torchlite_module* module = NULL;
  float outputs[5];
  CHECK(torchlite_load(path, &module) == TORCHLITE_OK)
  CHECK(run(module, outputs) == 0 && memcmp(outputs, wanted, sizeof outputs) == 0)
  CHECK(fail(module) == 0)
  CHECK(run(module, outputs) == 0 && memcmp(outputs, wanted, sizeof outputs) == 0)
  torchlite_module_free(module);
  return 0;
}

static void* work(void* wanted) {
  for (int i = 0; i < kRounds / kThreads; i++) {
    if (one_round(wanted) != 0) {
      return wanted;
    }
  }
  return NULL;
}

static int nothing_grows(const float* wanted) {
  long bytes = 0;
  int files = 0;
  for (int i = 0; i < kRounds; i++) {
    CHECK(one_round(wanted) == 0)
    if (i == kWarm) {
      bytes = resident();
      files = descriptors();
    }
  }
  CHECK(resident() - bytes < kGrowth)
  CHECK(descriptors() == files)
  return 0;
}

static int threads_agree(float* wanted, int at_once) {
  pthread_t threads[kThreads];
  void* failed;
  for (int i = 0; i < kThreads; i++) {
    CHECK(pthread_create(&threads[i], NULL, work, wanted) == 0)
    if (!at_once) {
      CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL)
    }
  }
  for (int i = 0; at_once && i < kThreads; i++) {
    CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL)
  }
  return 0;
}

int main(int count, char** arguments) {
  torchlite_module* module = NULL;
  float wanted[5];
  if (count != 2) {
    return 2;
  }
  path = arguments[1];
  for (size_t i = 0; i < sizeof image / sizeof *image; i++) {
    image[i] = (float)i / 100;
  }
  CHECK(torchlite_load(path, &module) == TORCHLITE_OK)
  CHECK(run(module, wanted) == 0)
  torchlite_module_free(module);
  return nothing_grows(wanted) || threads_agree(wanted, 1) || threads_agree(wanted, 0);
}
