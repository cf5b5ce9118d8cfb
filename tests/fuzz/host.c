/* Runs model files on a runtime, each in a child process, and prints one verdict a file.
 *
 *     host LIBRARY INPUTS < list of files, one path a line
 *
 * INPUTS describes calls, one a line: a method and its arguments in prefix notation.
 *     n | b 0 | i 7 | f 0.5 | s word | t float32 2 3 8 | l 2 ... | u 2 ... | d 2 key ... key ...
 * In a word, "_" stands for a space. Tensors hold small numbers that depend on their place only.
 *
 * A child loads the file with extra files, reads them and what the methods say of themselves, calls each
 * line twice while it measures, and reads every byte of every output; then it does all of that again on a
 * second load, from memory. Inputs are freed after each call, and a result is read
 * again, and written to, after the next call. Freed and fresh memory holds other bytes in the second pass (where
 * the C library can do so), so outputs that differ tell of memory that was never written.
 *
 * A line of output: verdict, tab, CPU milliseconds, tab, peak KiB, tab, path, tab, detail.
 *     ran        every call ended in a status; at least one succeeded, with the same bytes each time
 *     differs    the two passes gave other bytes
 *     refused    the file did not load (detail: the text)
 *     failed     every call failed (detail: the text)
 *     crashed    a signal (detail: signal, address, places from the innermost outwards)
 *     sanitizer  the child ended by a sanitizer's report (its text is on standard error)
 *     limit      time, memory, or a file's size
 *
 * HOST_STEPS: limit of interpreted instructions.
 * HOST_KEEP_SIGNALS: leave signals to a sanitizer, and set no limit on the address space.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <torchlite.h>
#include <ucontext.h>
#include <unistd.h>

enum {
  kCalls = 16,
  kCpuSeconds = 4,
  kWallSeconds = 60,
  kFileBytes = 1 << 20,
  kPlaces = 24,
  kSanitizerExit = 99,
  kDetail = 1500,
};
static const size_t kMemoryBytes = (size_t)3 << 30;

static const char* const kFiles[] = {"notes.txt", "gone", ""};
enum { kFileCount = sizeof kFiles / sizeof *kFiles };

static struct {
  torchlite_status (*load)(
      const char*, const void*, size_t, const char* const*, size_t, torchlite_module**);
  torchlite_status (*file)(const torchlite_module*, const char*, const void**, size_t*);
  torchlite_status (*methods)(torchlite_module*, const torchlite_method**, size_t*);
  torchlite_status (*profile_start)(torchlite_module*);
  torchlite_status (*profile_stop)(torchlite_module*, const torchlite_operator_time**, size_t*);
  torchlite_status (*set_log)(torchlite_log_function, void*);
  torchlite_status (*run)(
      torchlite_module*, const char*, const torchlite_value*, size_t, torchlite_result**);
  torchlite_status (*value)(const torchlite_result*, torchlite_value*);
  size_t (*count)(const torchlite_result*);
  torchlite_status (*tensor)(const torchlite_result*, size_t, torchlite_tensor*);
  void (*free_result)(torchlite_result*);
  void (*free_module)(torchlite_module*);
  const char* (*error)(void);
  torchlite_status (*set_threads)(int32_t);
  torchlite_status (*set_seed)(uint64_t);
  torchlite_status (*set_step_limit)(uint64_t);
} api;

/* What a child tells; the parent reads it when the child has ended. */
static struct {
  volatile int finished;
  char verdict[16];
  char detail[kDetail];
} * told;

static struct {
  char method[64];
  torchlite_value* arguments;
  size_t count;
} calls[kCalls];
static size_t call_count;

static const struct {
  const char* name;
  torchlite_dtype code;
  size_t bytes;
} kDtypes[] = {
    {"uint8", TORCHLITE_UINT8, 1},     {"int8", TORCHLITE_INT8, 1},
    {"int16", TORCHLITE_INT16, 2},     {"int32", TORCHLITE_INT32, 4},
    {"int64", TORCHLITE_INT64, 8},     {"float16", TORCHLITE_FLOAT16, 2},
    {"float32", TORCHLITE_FLOAT32, 4}, {"float64", TORCHLITE_FLOAT64, 8},
    {"bool", TORCHLITE_BOOL, 1},
};

static void die(const char* why, const char* what) {
  fprintf(stderr, "host: %s: %s\n", why, what);
  exit(2);
}

static size_t bytes_of(torchlite_dtype dtype) {
  for (size_t i = 0; i < sizeof kDtypes / sizeof *kDtypes; i++) {
    if (kDtypes[i].code == dtype) {
      return kDtypes[i].bytes;
    }
  }
  return 0;
}

/* -- calls ---------------------------------------------------------------- */

static char* next_word(void) {
  char* word = strtok(NULL, " \n");
  if (word == NULL) {
    die("an argument ends too early", "inputs");
  }
  return word;
}

static void fill(torchlite_dtype dtype, void* data, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const int small = (int)(i * 7 % 13);
    if (dtype == TORCHLITE_FLOAT32) {
      ((float*)data)[i] = (float)(small - 6) / 4;
    } else if (dtype == TORCHLITE_FLOAT64) {
      ((double*)data)[i] = (double)(small - 6) / 4;
    } else if (dtype == TORCHLITE_BOOL) {
      ((unsigned char*)data)[i] = small & 1;
    } else if (dtype == TORCHLITE_FLOAT16) {
      ((unsigned short*)data)[i] = (unsigned short)(0x3800 + 32 * small); /* 0.5 and more */
    } else {
      memset((char*)data + i * bytes_of(dtype), 0, bytes_of(dtype));
      ((unsigned char*)data)[i * bytes_of(dtype)] = (unsigned char)small;
    }
  }
}

static size_t count_elements(const torchlite_tensor* tensor) {
  size_t count = 1;
  for (int32_t i = 0; i < tensor->dims; i++) {
    count *= (size_t)tensor->sizes[i];
  }
  return count;
}

/* Gives every tensor of a value memory of its own for one call: a model may keep it, and write into it. */
static void lend(torchlite_value* value) {
  if (value->kind == TORCHLITE_VALUE_TENSOR) {
    torchlite_tensor* tensor = &value->as.tensor;
    const size_t count = count_elements(tensor);
    void* data = malloc(count * bytes_of(tensor->dtype));
    fill(tensor->dtype, data, count);
    tensor->data = data;
  } else if (value->kind >= TORCHLITE_VALUE_LIST) {
    for (size_t i = 0; i < value->as.group.count; i++) {
      lend((torchlite_value*)&value->as.group.items[i]);
    }
  }
}

static void take_back(torchlite_value* value) {
  if (value->kind == TORCHLITE_VALUE_TENSOR) {
    torchlite_tensor* tensor = &value->as.tensor;
    memset((void*)tensor->data, 0xee, count_elements(tensor) * bytes_of(tensor->dtype));
    free((void*)tensor->data);
    tensor->data = NULL;
  } else if (value->kind >= TORCHLITE_VALUE_LIST) {
    for (size_t i = 0; i < value->as.group.count; i++) {
      take_back((torchlite_value*)&value->as.group.items[i]);
    }
  }
}

static torchlite_tensor parse_tensor(void) {
  torchlite_tensor tensor = {0};
  const char* name = next_word();
  size_t bytes = 0;
  for (size_t i = 0; i < sizeof kDtypes / sizeof *kDtypes; i++) {
    if (strcmp(kDtypes[i].name, name) == 0) {
      tensor.dtype = kDtypes[i].code;
      bytes = kDtypes[i].bytes;
    }
  }
  if (bytes == 0) {
    die("unknown dtype", name);
  }
  tensor.dims = atoi(next_word());
  int64_t* sizes = calloc((size_t)tensor.dims + 1, sizeof *sizes);
  for (int32_t i = 0; i < tensor.dims; i++) {
    sizes[i] = atoll(next_word());
  }
  tensor.sizes = sizes;
  return tensor;
}

static char* parse_text(void) {
  char* text = strdup(next_word());
  for (char* at = text; *at; at++) {
    if (*at == '_') {
      *at = ' ';
    }
  }
  return text;
}

static torchlite_value parse_value(char kind) {
  torchlite_value value = {0};
  switch (kind) {
    case 'n':
      value.kind = TORCHLITE_VALUE_NONE;
      return value;
    case 'b':
    case 'i':
      value.kind = kind == 'b' ? TORCHLITE_VALUE_BOOL : TORCHLITE_VALUE_INT;
      value.as.integer = atoll(next_word());
      return value;
    case 'f':
      value.kind = TORCHLITE_VALUE_FLOAT;
      value.as.real = atof(next_word());
      return value;
    case 's':
      value.kind = TORCHLITE_VALUE_STRING;
      value.as.text = parse_text();
      return value;
    case 't':
      value.kind = TORCHLITE_VALUE_TENSOR;
      value.as.tensor = parse_tensor();
      return value;
    case 'l':
    case 'u':
    case 'd':
      break;
    default:
      die("unknown kind of argument", (char[]){kind, 0});
  }
  value.kind = kind == 'l' ? TORCHLITE_VALUE_LIST
      : kind == 'u'        ? TORCHLITE_VALUE_TUPLE
                           : TORCHLITE_VALUE_DICT;
  const size_t count = (size_t)atoi(next_word());
  torchlite_value* items = calloc(count + 1, sizeof *items);
  const char** keys = calloc(count + 1, sizeof *keys);
  for (size_t i = 0; i < count; i++) {
    if (kind == 'd') {
      keys[i] = parse_text();
    }
    items[i] = parse_value(next_word()[0]);
  }
  value.as.group.count = count;
  value.as.group.items = items;
  value.as.group.keys = keys;
  return value;
}

static void read_calls(const char* path) {
  FILE* file = fopen(path, "r");
  char line[4096];
  if (file == NULL) {
    die("cannot read", path);
  }
  while (fgets(line, sizeof line, file) && call_count < kCalls) {
    char* word = strtok(line, " \n");
    if (word == NULL) {
      continue;
    }
    snprintf(calls[call_count].method, sizeof calls[0].method, "%s", word);
    calls[call_count].arguments = calloc(64, sizeof(torchlite_value));
    while ((word = strtok(NULL, " \n")) != NULL) {
      if (calls[call_count].count == 64) {
        die("too many arguments", path);
      }
      calls[call_count].arguments[calls[call_count].count++] = parse_value(word[0]);
    }
    call_count++;
  }
  fclose(file);
}

/* -- the child ------------------------------------------------------------ */

static void tell(const char* verdict, const char* detail) {
  snprintf(told->verdict, sizeof told->verdict, "%s", verdict);
  snprintf(told->detail, sizeof told->detail, "%s", detail);
  for (char* at = told->detail; *at; at++) {
    if ((unsigned char)*at < ' ') {
      *at = ' ';
    }
  }
}

static uint64_t add_bytes(uint64_t hash, const void* data, size_t size) {
  for (size_t i = 0; i < size; i++) {
    hash = (hash ^ ((const volatile unsigned char*)data)[i]) * 1099511628211u;
  }
  return hash;
}

static uint64_t add_tensor(uint64_t hash, const torchlite_tensor* tensor) {
  size_t bytes = bytes_of(tensor->dtype);
  for (int32_t i = 0; i < tensor->dims; i++) {
    bytes *= (size_t)tensor->sizes[i];
    hash = add_bytes(hash, &tensor->sizes[i], sizeof tensor->sizes[i]);
  }
  return add_bytes(hash, tensor->data, bytes);
}

static uint64_t add_value(uint64_t hash, const torchlite_value* value) {
  hash = add_bytes(hash, &value->kind, sizeof value->kind);
  switch (value->kind) {
    case TORCHLITE_VALUE_NONE:
      return hash;
    case TORCHLITE_VALUE_TENSOR:
      return add_tensor(hash, &value->as.tensor);
    case TORCHLITE_VALUE_BOOL:
    case TORCHLITE_VALUE_INT:
      return add_bytes(hash, &value->as.integer, sizeof value->as.integer);
    case TORCHLITE_VALUE_FLOAT:
      return add_bytes(hash, &value->as.real, sizeof value->as.real);
    case TORCHLITE_VALUE_STRING:
      return add_bytes(hash, value->as.text, strlen(value->as.text));
    default:
      break;
  }
  for (size_t i = 0; i < value->as.group.count; i++) {
    if (value->as.group.keys != NULL) {
      const char* key = value->as.group.keys[i];
      hash = add_bytes(hash, key, strlen(key));
    }
    hash = add_value(hash, &value->as.group.items[i]);
  }
  return hash;
}

/* Returns a hash of all that a result shows, read in both ways that the API has. */
static uint64_t read_result(const torchlite_result* result) {
  torchlite_value value;
  torchlite_tensor tensor;
  uint64_t hash = 14695981039346656037u;
  if (api.value(result, &value) == TORCHLITE_OK) {
    hash = add_value(hash, &value);
  }
  for (size_t i = 0; i < api.count(result); i++) {
    if (api.tensor(result, i, &tensor) == TORCHLITE_OK) {
      hash = add_tensor(hash, &tensor);
    }
  }
  return hash;
}

static uint64_t add_text(uint64_t hash, const char* text) {
  return add_bytes(hash, text, strlen(text) + 1);
}

static uint64_t add_type(uint64_t hash, const torchlite_type* type) {
  hash = add_bytes(hash, &type->kind, sizeof type->kind);
  hash = add_bytes(hash, &type->is_optional, sizeof type->is_optional);
  hash = add_text(hash, type->text);
  for (size_t i = 0; i < type->count; i++) {
    hash = add_type(hash, &type->items[i]);
  }
  return hash;
}

/* Returns a hash of the extra files, and of all that the methods say of themselves. */
static uint64_t read_descriptions(torchlite_module* module) {
  const torchlite_method* methods = NULL;
  size_t count = 0;
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < kFileCount; i++) {
    const void* data = NULL;
    size_t size = 0;
    if (api.file(module, kFiles[i], &data, &size) == TORCHLITE_OK) {
      hash = add_bytes(hash, data, size + 1);
    }
  }
  if (api.methods(module, &methods, &count) != TORCHLITE_OK) {
    return add_text(hash, api.error());
  }
  for (size_t i = 0; i < count; i++) {
    hash = add_text(add_text(hash, methods[i].name), methods[i].text);
    for (size_t k = 0; k < methods[i].input_count; k++) {
      hash = add_text(hash, methods[i].inputs[k].name);
      hash = add_type(hash, &methods[i].inputs[k].type);
    }
    for (size_t k = 0; k < methods[i].output_count; k++) {
      hash = add_type(hash, &methods[i].outputs[k]);
    }
  }
  return hash;
}

/* Returns a hash of the operators that calls took, without their times. */
static uint64_t read_profile(torchlite_module* module) {
  const torchlite_operator_time* times = NULL;
  size_t count = 0;
  uint64_t hash = 14695981039346656037u;
  if (api.profile_stop(module, &times, &count) != TORCHLITE_OK) {
    return add_text(hash, api.error());
  }
  for (size_t i = 0; i < count; i++) {
    hash = add_text(add_text(hash, times[i].name), times[i].overload);
    hash = add_bytes(hash, &times[i].calls, sizeof times[i].calls);
  }
  return hash;
}

static void read_log(void* user, torchlite_log_kind kind, const char* text) {
  *(uint64_t*)user = add_text(add_bytes(*(uint64_t*)user, &kind, sizeof kind), text);
}

static torchlite_status load_file(const char* path, torchlite_module** module) {
  return api.load(path, NULL, 0, kFiles, kFileCount, module);
}

/* Loads from a copy in memory that is gone when the model runs. */
static torchlite_status load_copy(const char* path, torchlite_module** module) {
  FILE* file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    die("cannot read", path);
  }
  const size_t size = (size_t)ftell(file);
  char* data = malloc(size + !size);
  rewind(file);
  if (fread(data, 1, size, file) != size) {
    die("cannot read", path);
  }
  fclose(file);
  const torchlite_status status = api.load(NULL, data, size, kFiles, kFileCount, module);
  memset(data, 0xee, size);
  free(data);
  return status;
}

static torchlite_status call_once(torchlite_module* module, size_t call, torchlite_result** result) {
  for (size_t i = 0; i < calls[call].count; i++) {
    lend(&calls[call].arguments[i]);
  }
  const torchlite_status status =
      api.run(module, calls[call].method, calls[call].arguments, calls[call].count, result);
  for (size_t i = 0; i < calls[call].count; i++) {
    take_back(&calls[call].arguments[i]);
  }
  return status;
}

/* Ends a result, which is as it was when it was made; the model may not see what an app writes to it. */
static int end_result(torchlite_result* result, uint64_t hash) {
  const int same = read_result(result) == hash;
  torchlite_tensor tensor;
  for (size_t i = 0; i < api.count(result); i++) {
    if (api.tensor(result, i, &tensor) == TORCHLITE_OK && tensor.dims > 0) {
      memset((void*)tensor.data, 0x77, count_elements(&tensor) * bytes_of(tensor.dtype));
    }
  }
  api.free_result(result);
  return same;
}

/* One load with all calls, each twice, and the hashes of what they give. Returns 0 where none ran. */
static int run_once(const char* path, int from_memory, uint64_t* hashes) {
  torchlite_module* module = NULL;
  torchlite_result* held = NULL;
  uint64_t held_hash = 0;
  int succeeded = 0;
  if ((from_memory ? load_copy : load_file)(path, &module) != TORCHLITE_OK) {
    tell("refused", api.error());
    return 0;
  }
  hashes[2 * call_count] = read_descriptions(module);
  if (api.profile_start(module) != TORCHLITE_OK) {
    tell("failed", api.error());
  }
  for (size_t i = 0; i < 2 * call_count; i++) {
    torchlite_result* result = NULL;
    const size_t call = i % call_count;
    hashes[i] = 0;
    if (call_once(module, call, &result) == TORCHLITE_OK) {
      hashes[i] = read_result(result);
      succeeded = 1;
    } else if (!succeeded) {
      tell("failed", api.error());
    }
    if (held != NULL && !end_result(held, held_hash)) {
      tell("differs", "a result after the next call");
      told->finished = 1;
      _exit(0);
    }
    held = result;
    held_hash = hashes[i];
  }
  hashes[2 * call_count + 1] = read_profile(module);
  api.free_module(module);
  if (held != NULL && !end_result(held, held_hash)) {
    tell("differs", "a result after its module");
    told->finished = 1;
    _exit(0);
  }
  return succeeded;
}

static void run_file(const char* path) {
  uint64_t first[2 * kCalls + 2], second[2 * kCalls + 2], logged = 0;
  mallopt(M_PERTURB, 0x3c);
  if (run_once(path, 0, first)) {
    mallopt(M_PERTURB, 0xc3);
    api.set_seed(1);
    api.set_log(read_log, &logged); /* the first time, warnings go to standard error */
    const int again = run_once(path, 1, second);
    const int same = again && memcmp(first, second, (2 * call_count + 2) * sizeof *first) == 0;
    if (same) {
      tell("ran", "");
    } else {
      tell("differs", again ? "outputs" : "the second pass failed");
    }
  }
  told->finished = 1;
}

/* -- what a signal says ---------------------------------------------------- */

static size_t add_place(char* text, size_t size, void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
    return (size_t)snprintf(text, size, " %p", address);
  }
  const char* slash = strrchr(info.dli_fname, '/');
  const unsigned long offset = (unsigned long)((char*)address - (char*)info.dli_fbase);
  return (size_t)snprintf(text, size, " %s+0x%lx", slash ? slash + 1 : info.dli_fname, offset);
}

/* Not safe in a signal handler by the letter; the child ends here in any case. */
static void on_signal(int number, siginfo_t* info, void* context) {
  void* places[kPlaces];
  char text[kDetail];
  size_t used = (size_t)snprintf(
      text, sizeof text, "signal %d at %p:", number, number == SIGABRT ? NULL : info->si_addr);
#ifdef __x86_64__
  const ucontext_t* saved = context;
  used += add_place(text + used, sizeof text - used, (void*)saved->uc_mcontext.gregs[REG_RIP]);
#else
  (void)context;
#endif
  tell("crashed", text);
  const int count = backtrace(places, kPlaces);
  for (int i = 3; i < count && used + 80 < sizeof text; i++) {
    used += add_place(text + used, sizeof text - used, places[i]);
  }
  tell("crashed", text);
  _exit(1);
}

static void limit(int what, rlim_t value) {
  const struct rlimit both = {value, value};
  setrlimit(what, &both);
}

static void prepare_child(int keep_signals) {
  static char stack[1 << 16];
  const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  const struct rlimit cpu = {kCpuSeconds, kCpuSeconds + 1}; /* SIGXCPU first */
  const struct rlimit slow = {4 * kCpuSeconds, 4 * kCpuSeconds + 1};
  const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {0};
  setrlimit(RLIMIT_CPU, keep_signals ? &slow : &cpu);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, kFileBytes);
  if (!keep_signals) {
    limit(RLIMIT_AS, kMemoryBytes);
    sigaltstack(&other, NULL);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
      sigaction(signals[i], &action, NULL);
    }
  }
}

/* -- the parent ----------------------------------------------------------- */

static size_t resident_bytes(pid_t child) {
  char path[64];
  unsigned long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", (int)child);
  FILE* file = fopen(path, "r");
  if (file != NULL) {
    if (fscanf(file, "%*u %lu", &pages) != 1) {
      pages = 0;
    }
    fclose(file);
  }
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Waits for the child, and ends it when it takes too much memory or sleeps for ever. */
static int wait_for(pid_t child, struct rusage* usage, const char** ended_for) {
  int status = 0;
  const struct timespec pause = {0, 200000};
  const time_t started = time(NULL);
  for (long turn = 0; wait4(child, &status, WNOHANG, usage) == 0; turn++) {
    nanosleep(&pause, NULL);
    if (turn % 64 == 63 && *ended_for == NULL) {
      if (resident_bytes(child) > kMemoryBytes) {
        *ended_for = "memory";
      } else if (time(NULL) - started > kWallSeconds) {
        *ended_for = "wall time";
      }
      if (*ended_for != NULL) {
        kill(child, SIGKILL);
      }
    }
  }
  return status;
}

static void judge(int status, const char* ended_for) {
  const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (ended_for != NULL) {
    tell("limit", ended_for);
  } else if (number == SIGXCPU || number == SIGKILL) {
    tell("limit", "CPU time");
  } else if (number == SIGXFSZ) {
    tell("limit", "a file's size");
  } else if (number != 0) {
    char text[64];
    snprintf(text, sizeof text, "signal %d, untold", number);
    tell("crashed", text);
  } else if (WEXITSTATUS(status) == kSanitizerExit) {
    tell("sanitizer", "");
  } else if (!told->finished && strcmp(told->verdict, "crashed") != 0) {
    char text[64];
    snprintf(text, sizeof text, "exit %d, untold", WEXITSTATUS(status));
    tell("crashed", text);
  }
}

static void try_file(const char* path, int keep_signals) {
  struct rusage usage;
  const char* ended_for = NULL;
  memset(told, 0, sizeof *told);
  const pid_t child = fork();
  if (child < 0) {
    die("cannot fork", path);
  }
  if (child == 0) {
    prepare_child(keep_signals);
    run_file(path);
    fflush(NULL);
    _exit(0);
  }
  judge(wait_for(child, &usage, &ended_for), ended_for);
  const long milliseconds = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000L +
      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000L;
  printf("%s\t%ld\t%ld\t%s\t%s\n", told->verdict, milliseconds, usage.ru_maxrss, path, told->detail);
  fflush(stdout);
  fprintf(stderr, "== %s\n", path); /* ends what a sanitizer said of this file */
  fflush(stderr);
}

static void* find(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    die("the library lacks", name);
  }
  return found;
}

static void open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    die("cannot load the library", dlerror());
  }
  *(void**)&api.load = find(library, "torchlite_load_with_files");
  *(void**)&api.file = find(library, "torchlite_module_file");
  *(void**)&api.methods = find(library, "torchlite_module_methods");
  *(void**)&api.profile_start = find(library, "torchlite_profile_start");
  *(void**)&api.profile_stop = find(library, "torchlite_profile_stop");
  *(void**)&api.set_log = find(library, "torchlite_set_log");
  *(void**)&api.run = find(library, "torchlite_run_values");
  *(void**)&api.value = find(library, "torchlite_result_value");
  *(void**)&api.count = find(library, "torchlite_result_count");
  *(void**)&api.tensor = find(library, "torchlite_result_tensor");
  *(void**)&api.free_result = find(library, "torchlite_result_free");
  *(void**)&api.free_module = find(library, "torchlite_module_free");
  *(void**)&api.error = find(library, "torchlite_error");
  *(void**)&api.set_threads = find(library, "torchlite_set_threads");
  *(void**)&api.set_seed = find(library, "torchlite_set_seed");
  *(void**)&api.set_step_limit = find(library, "torchlite_set_step_limit");
}

int main(int count, char** arguments) {
  char path[4096];
  void* warm[2];
  if (count != 3) {
    die("usage", "host LIBRARY INPUTS < list");
  }
  open_library(arguments[1]);
  read_calls(arguments[2]);
  told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  backtrace(warm, 2); /* loads what it needs now, not in a handler */
  api.set_threads(1);
  api.set_seed(1);
  const char* steps = getenv("HOST_STEPS");
  if (steps != NULL) {
    api.set_step_limit(strtoull(steps, NULL, 10));
  }
  const int keep_signals = getenv("HOST_KEEP_SIGNALS") != NULL;
  while (fgets(path, sizeof path, stdin)) {
    path[strcspn(path, "\n")] = 0;
    if (*path) {
      try_file(path, keep_signals);
    }
  }
  return 0;
}
