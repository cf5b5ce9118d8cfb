/* Changes the number of threads, and how they wait, while models run; says how far it got by its exit code.
 *
 *     threads MODEL    MODEL takes one float32 tensor of [1, 3, 16, 16] */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <torchlite.h>
#include <unistd.h>

enum { kCalls = 40, kChanges = 200, kCallers = 3, kOutputs = 5 };
static const char* path;
static float image[3 * 16 * 16];
static float wanted[kOutputs];
static atomic_int is_over;
static const int64_t sizes[] = {1, 3, 16, 16};

static int run(torchlite_module* module, float* outputs) {
  torchlite_result* result = NULL;
  const torchlite_tensor tensor = {TORCHLITE_FLOAT32, 4, sizes, image};
  torchlite_tensor output;
  if (torchlite_forward(module, &tensor, 1, &result) || torchlite_result_tensor(result, 0, &output)) return 1;
  memcpy(outputs, output.data, kOutputs * sizeof *outputs);
  torchlite_result_free(result);
  return 0;
}

/* The threads of this process, and in *sleeps how often those that it did not start with went to sleep. */
static int count_threads(long* sleeps) {
  int count = 0;
  DIR* folder = opendir("/proc/self/task");
  *sleeps = 0;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    const int number = atoi(entry->d_name);
    count += number != 0;
    if (number == 0 || number == (int)getpid()) continue;
    char name[64], line[256];
    snprintf(name, sizeof name, "/proc/self/task/%d/status", number);
    FILE* file = fopen(name, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
      long found = 0;
      if (sscanf(line, "voluntary_ctxt_switches: %ld", &found) == 1) *sleeps += found;
    }
    if (file != NULL) fclose(file);
  }
  closedir(folder);
  return count;
}

/* How often the other thread sleeps in kCalls calls with pauses. */
static long count_sleeps(torchlite_module* module) {
  const struct timespec pause = {0, 1000000};
  float outputs[kOutputs];
  long before = 0, after = 0;
  if (run(module, outputs) || count_threads(&before) != 2) return -1;
  for (int i = 0; i < kCalls; i++) {
    if (run(module, outputs)) return -1;
    nanosleep(&pause, NULL);
  }
  count_threads(&after);
  return after - before;
}

static void* call(void* unused) {
  torchlite_module* module = NULL;
  float outputs[kOutputs];
  if (torchlite_load(path, &module)) return wanted;
  while (!is_over) {
    if (run(module, outputs) || memcmp(outputs, wanted, sizeof outputs) != 0) return wanted;
  }
  torchlite_module_free(module);
  return unused;
}

/* A pool that is freed while an operator has it would crash. */
static int change_while_running(void) {
  pthread_t callers[kCallers];
  void* failed = NULL;
  for (int i = 0; i < kCallers; i++) {
    if (pthread_create(&callers[i], NULL, call, NULL)) return 1;
  }
  int status = 0;
  for (int i = 0; i < kChanges; i++) {
    status |= torchlite_set_threads(1 + i % 3);
    status |= torchlite_set_spinning(i % 2);
  }
  is_over = 1;
  for (int i = 0; i < kCallers; i++) {
    if (pthread_join(callers[i], &failed) || failed != NULL) return 1;
  }
  return status;
}

int main(int count, char** arguments) {
  torchlite_module* module = NULL;
  long sleeps = 0;
  if (count != 2) return 1;
  path = arguments[1];
  for (size_t i = 0; i < sizeof image / sizeof *image; i++) {
    image[i] = (float)i / 100;
  }
  if (torchlite_set_threads(1) || torchlite_load(path, &module) || run(module, wanted)) return 2;
  if (count_threads(&sleeps) != 1) return 3;
  if (torchlite_set_threads(2) || count_threads(&sleeps) != 2) return 4; /* after load and call */
  if (torchlite_set_spinning(0)) return 5;
  if (count_sleeps(module) < kCalls / 2) return 6; /* a thread that spins sleeps never, or rarely */
  if (torchlite_set_threads(0) || count_threads(&sleeps) != 2) return 7; /* as it was set */
  if (torchlite_set_spinning(1) || change_while_running()) return 8;
  if (torchlite_set_threads(1) || count_threads(&sleeps) != 1) return 9;
  torchlite_module_free(module);
  return 0;
}
