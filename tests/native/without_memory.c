/* Fails each allocation of a load and a call, one after the other, each in a child process.
 *
 *     without_memory MODEL SIZE... # of a float32 tensor for forward
 *
 * Prints how many allocations there are, how many children got a status, and for each that did not, which
 * allocation failed and how it ended. The functions below stand in for the C library's, in the library too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <torchlite.h>
#include <unistd.h>

enum { kDims = 8, kSeconds = 20 };

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

static int counting = 0;
static long seen = 0, failing = -1;

static int fails(void) {
  return counting && __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) == failing;
}

void* malloc(size_t size) {
  return fails() ? NULL : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  return fails() ? NULL : __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) {
  return fails() ? NULL : __libc_realloc(old, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  return fails() ? NULL : __libc_memalign(alignment, size);
}

void* memalign(size_t alignment, size_t size) {
  return aligned_alloc(alignment, size);
}

int posix_memalign(void** made, size_t alignment, size_t size) {
  *made = aligned_alloc(alignment, size);
  return *made == NULL ? ENOMEM : 0;
}

static torchlite_value input;

static torchlite_status run(const char* path) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  torchlite_status status = torchlite_load(path, &module);
  if (status == TORCHLITE_OK) {
    status = torchlite_run_values(module, "forward", &input, 1, &result);
  }
  torchlite_result_free(result);
  torchlite_module_free(module);
  return status;
}

static torchlite_status count(const char* path) {
  seen = 0;
  counting = 1;
  const torchlite_status status = run(path);
  counting = 0;
  return status;
}

int main(int argc, char** argv) {
  int64_t sizes[kDims];
  size_t elements = 1;
  const int dims = argc - 2 < kDims ? argc - 2 : kDims;
  for (int i = 0; i < dims; i++) {
    sizes[i] = atoll(argv[2 + i]);
    elements *= (size_t)sizes[i];
  }
  input.kind = TORCHLITE_VALUE_TENSOR;
  input.as.tensor = (torchlite_tensor){TORCHLITE_FLOAT32, dims, sizes, calloc(elements, sizeof(float))};
  torchlite_set_threads(1);
  if (count(argv[1]) != TORCHLITE_OK) {
    printf("not unharmed: %s\n", torchlite_error());
    return 1;
  }
  const long all = seen;
  long told = 0;
  printf("%ld allocations\n", all);
  fflush(stdout);
  for (failing = 1; failing <= all; failing++) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kSeconds);
      _exit(count(argv[1]));
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      printf("allocation %ld: %s\n", failing, strsignal(WTERMSIG(status)));
    } else {
      told++;
    }
  }
  printf("%ld told\n", told);
  return 0;
}
