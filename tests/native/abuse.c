/* Calls the C API wrongly, each time in a child process, and prints what it answered.
 *
 *     abuse MODEL        MODEL takes one float32 tensor of [1, 3, 16, 16]
 *
 * A line of output: name of the call, tab, its status (or "signal N", "endless"), tab, its text. */
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <torchlite.h>
#include <unistd.h>

static const char* path;
static torchlite_module* module;
static torchlite_result* result;
/* Large enough for the image in any dtype, and for one of five channels. */
static double image[5 * 16 * 16];
static const int64_t image_sizes[] = {1, 3, 16, 16};

static torchlite_tensor good(void) {
  const torchlite_tensor tensor = {TORCHLITE_FLOAT32, 4, image_sizes, image};
  return tensor;
}

static torchlite_status load(void) {
  return torchlite_load(path, &module);
}

static torchlite_status forward(torchlite_tensor tensor) {
  return load() == TORCHLITE_OK ? torchlite_forward(module, &tensor, 1, &result) : 99;
}

static torchlite_status forward_sizes(int32_t dims, const int64_t* sizes) {
  torchlite_tensor tensor = good();
  tensor.dims = dims;
  tensor.sizes = sizes;
  return forward(tensor);
}

static torchlite_status forward_dtype(int dtype) {
  torchlite_tensor tensor = good();
  tensor.dtype = (torchlite_dtype)dtype;
  return forward(tensor);
}

static torchlite_status forward_data(const void* data) {
  torchlite_tensor tensor = good();
  tensor.data = data;
  return forward(tensor);
}

static torchlite_status forward_many(size_t given, size_t told) {
  torchlite_tensor* tensors = malloc((given + 1) * sizeof *tensors);
  for (size_t i = 0; i < given; i++) {
    tensors[i] = good();
  }
  return load() == TORCHLITE_OK ? torchlite_forward(module, tensors, told, &result) : 99;
}

static torchlite_status run_named(const char* name) {
  const torchlite_tensor tensor = good();
  return load() == TORCHLITE_OK ? torchlite_run_method(module, name, &tensor, 1, &result) : 99;
}

static torchlite_status run_value(const torchlite_value* value) {
  return load() == TORCHLITE_OK ? torchlite_run_values(module, "forward", value, 1, &result) : 99;
}

static torchlite_value make(int kind) {
  torchlite_value value;
  memset(&value, 0, sizeof value);
  value.kind = (torchlite_kind)kind;
  return value;
}

static torchlite_value group(
    int kind, size_t count, const torchlite_value* items, const char* const* keys) {
  torchlite_value value = make(kind);
  value.as.group.count = count;
  value.as.group.items = items;
  value.as.group.keys = keys;
  return value;
}

static torchlite_status run_group(
    int kind, size_t count, const torchlite_value* items, const char* const* keys) {
  const torchlite_value value = group(kind, count, items, keys);
  return run_value(&value);
}

static torchlite_status run_nested(int kind, int depth) {
  torchlite_value* levels = calloc((size_t)depth + 1, sizeof *levels);
  static const char* const keys[] = {"key"};
  for (int i = 0; i < depth; i++) {
    levels[i] = group(kind, 1, &levels[i + 1], keys);
  }
  levels[depth].kind = TORCHLITE_VALUE_INT;
  return run_value(levels);
}

static torchlite_status run_holding_itself(void) {
  torchlite_value value;
  value = group(TORCHLITE_VALUE_TUPLE, 1, &value, NULL);
  return run_value(&value);
}

static torchlite_status run_after_threads(int32_t threads) {
  const torchlite_status status = torchlite_set_threads(threads);
  return status == TORCHLITE_OK ? forward(good()) : status;
}

static torchlite_status result_outlives_module(void) {
  torchlite_tensor output;
  torchlite_status status = forward(good());
  torchlite_module_free(module);
  if (status == TORCHLITE_OK) {
    status = torchlite_result_tensor(result, 0, &output);
    status = status != TORCHLITE_OK || output.sizes[1] != 5 ? 99 : TORCHLITE_OK;
    torchlite_result_free(result);
  }
  return status;
}

static torchlite_status failed_load_leaves_the_pointer(void) {
  torchlite_module* const before = (torchlite_module*)image;
  module = before;
  const torchlite_status status = torchlite_load("/nowhere", &module);
  return module == before ? status : 98;
}

static torchlite_status frees_null(void) {
  torchlite_module_free(NULL);
  torchlite_result_free(NULL);
  return torchlite_result_count(NULL) == 0 ? TORCHLITE_OK : 98;
}

static torchlite_status error_is_cleared(void) {
  torchlite_load("/nowhere", &module);
  const int told = *torchlite_error() != 0;
  const torchlite_status status = load();
  return told && *torchlite_error() == 0 ? status : 98;
}

static torchlite_status many_sizes(int32_t dims) {
  int64_t* sizes = malloc((size_t)dims * sizeof *sizes);
  for (int32_t i = 0; i < dims; i++) {
    sizes[i] = 1;
  }
  return forward_sizes(dims, sizes);
}

static const char* long_name(void) {
  char* name = malloc((1 << 20) + 1);
  memset(name, 'a', 1 << 20);
  name[1 << 20] = 0;
  return name;
}

#define SIZES(...) (const int64_t[]){__VA_ARGS__}

static void report(const char* name, int status, const char* text) {
  printf("%s\t%d\t", name, status);
  for (; *text; text++) {
    putchar((unsigned char)*text < ' ' ? ' ' : *text);
  }
  putchar('\n');
  fflush(stdout);
}

/* The wide limits end what would take the machine's memory or never end. */
static int begins(const char* name) {
  int status = 0;
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const struct rlimit memory = {(rlim_t)6 << 30, (rlim_t)6 << 30};
    setrlimit(RLIMIT_AS, &memory);
    alarm(60);
    return 1;
  }
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    printf(number == SIGALRM ? "%s\tendless\t\n" : "%s\tsignal %d\t\n", name, number);
  }
  return 0;
}

#define CASE(name, call) \
  if (begins(name)) { \
    const int status = (int)(call); \
    report(name, status, torchlite_error()); \
    _exit(0); \
  }

static void load_wrongly(void) {
  CASE("load(NULL, NULL)", torchlite_load(NULL, NULL))
  CASE("load(path, NULL)", torchlite_load(path, NULL))
  CASE("load no file", torchlite_load("/nowhere", &module))
  CASE("load a folder", torchlite_load("/", &module))
  CASE("load /dev/zero", torchlite_load("/dev/zero", &module))
  CASE("load /dev/null", torchlite_load("/dev/null", &module))
  char folder[] = "/tmp/torchlite-XXXXXX";
  char pipe[sizeof folder + 8];
  if (mkdtemp(folder) == NULL) exit(1);
  snprintf(pipe, sizeof pipe, "%s/pipe", folder);
  if (mkfifo(pipe, 0600) != 0) exit(1);
  CASE("load a pipe", torchlite_load(pipe, &module)) /* nobody will ever write to it */
  unlink(pipe);
  rmdir(folder);
  CASE("buffer NULL", torchlite_load_buffer(NULL, 0, &module))
  CASE("buffer of 0", torchlite_load_buffer("x", 0, &module))
  CASE("buffer of 1", torchlite_load_buffer("x", 1, &module))
  CASE("buffer of a flatbuffer's head", torchlite_load_buffer("\1\0\0\0PTMF", 8, &module))
  CASE("buffer of an archive's head", torchlite_load_buffer("PK\3\4abcd", 8, &module))
  CASE("buffer of SIZE_MAX", torchlite_load_buffer("PK\3\4", SIZE_MAX, &module))
  CASE("failed load leaves the pointer", failed_load_leaves_the_pointer())
  CASE("error is cleared", error_is_cleared())
}

static void call_wrongly(void) {
  const torchlite_tensor tensor = good();
  CASE("no module", torchlite_forward(NULL, &tensor, 1, &result))
  CASE("no result", load() + torchlite_forward(module, &tensor, 1, NULL))
  CASE("no inputs, count 1", load() + torchlite_forward(module, NULL, 1, &result))
  CASE("no inputs, count 0", forward_many(0, 0))
  CASE("two inputs", forward_many(2, 2))
  CASE("100000 inputs", forward_many(100000, 100000))
  CASE("count SIZE_MAX", forward_many(1, SIZE_MAX))
  CASE("count SIZE_MAX / 64", forward_many(1, SIZE_MAX / 64))
  CASE("values, count SIZE_MAX",
       load() + torchlite_run_values(module, "forward", &(torchlite_value){0}, SIZE_MAX, &result))
  CASE("no name", run_named(NULL))
  CASE("empty name", run_named(""))
  CASE("unknown name", run_named("nothing"))
  CASE("long name", run_named(long_name()))
  CASE("result_tensor of none", torchlite_result_tensor(NULL, 0, &(torchlite_tensor){0}))
  CASE("result_tensor 1 of 1",
       forward(good()) + torchlite_result_tensor(result, 1, &(torchlite_tensor){0}))
  CASE("result_tensor SIZE_MAX",
       forward(good()) + torchlite_result_tensor(result, SIZE_MAX, &(torchlite_tensor){0}))
  CASE("result_tensor to NULL", forward(good()) + torchlite_result_tensor(result, 0, NULL))
  CASE("result_value of none", torchlite_result_value(NULL, &(torchlite_value){0}))
  CASE("result_value to NULL", forward(good()) + torchlite_result_value(result, NULL))
  CASE("free(NULL)", frees_null())
  CASE("result outlives module", result_outlives_module())
  CASE("threads -1", torchlite_set_threads(-1))
  CASE("threads 100000", run_after_threads(100000))
  CASE("threads INT_MAX", run_after_threads(INT_MAX))
  CASE("threads 2", run_after_threads(2))
}

static void describe_tensors_wrongly(void) {
  static const int wrong[] = {0, 1, 2, 3, 4, 5, 7, 11};
  CASE("dtype -1", forward_dtype(-1))
  CASE("dtype 8", forward_dtype(8))
  CASE("dtype 12", forward_dtype(12))
  CASE("dtype 1000000", forward_dtype(1000000))
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char name[32];
    snprintf(name, sizeof name, "wrong dtype %d", wrong[i]);
    CASE(name, forward_dtype(wrong[i]))
  }
  CASE("dims -1", forward_sizes(-1, image_sizes))
  CASE("dims INT_MIN", forward_sizes(INT_MIN, image_sizes))
  CASE("dims INT_MAX", forward_sizes(INT_MAX, image_sizes))
  CASE("dims 0", forward_sizes(0, NULL))
  CASE("dims 3", forward_sizes(3, image_sizes))
  CASE("dims 5", forward_sizes(5, SIZES(1, 1, 3, 16, 16)))
  CASE("dims 64", many_sizes(64))
  CASE("dims 65", many_sizes(65))
  CASE("dims 1000", many_sizes(1000))
  CASE("sizes NULL", forward_sizes(4, NULL))
  CASE("data NULL", forward_data(NULL))
  CASE("data between two floats", forward_data((const char*)image + 1))
  CASE("size -1", forward_sizes(4, SIZES(-1, 3, 16, 16)))
  CASE("size INT64_MIN", forward_sizes(4, SIZES(INT64_MIN, 3, 16, 16)))
  CASE("two negative sizes", forward_sizes(4, SIZES(-1, -3, 16, 16)))
  CASE("2^32 * 2^32", forward_sizes(4, SIZES(1LL << 32, 1LL << 32, 1, 1)))
  CASE("2^62 float32", forward_sizes(4, SIZES(1LL << 62, 1, 1, 1)))
  CASE("2^61 float32", forward_sizes(4, SIZES(1LL << 61, 1, 1, 1)))
  CASE("0 * 2^62 * 2^62", forward_sizes(4, SIZES(0, 1LL << 62, 1LL << 62, 16)))
  CASE("2^62 * 16 * 16 * 0", forward_sizes(4, SIZES(1LL << 62, 16, 16, 0)))
  CASE("no image", forward_sizes(4, SIZES(0, 3, 16, 16)))
  CASE("no channel", forward_sizes(4, SIZES(1, 0, 16, 16)))
  CASE("no row", forward_sizes(4, SIZES(1, 3, 0, 16)))
  CASE("an image of one pixel", forward_sizes(4, SIZES(1, 3, 1, 1)))
  CASE("1 channel", forward_sizes(4, SIZES(1, 1, 16, 16)))
  CASE("2 channels", forward_sizes(4, SIZES(1, 2, 16, 16)))
  CASE("4 channels", forward_sizes(4, SIZES(1, 4, 16, 16)))
  CASE("5 channels", forward_sizes(4, SIZES(1, 5, 16, 16)))
}

static void pass_wrong_values(void) {
  torchlite_value none = make(TORCHLITE_VALUE_NONE), integer = make(TORCHLITE_VALUE_INT);
  torchlite_value text = make(TORCHLITE_VALUE_STRING), tensor = make(TORCHLITE_VALUE_TENSOR);
  torchlite_value strange = make(99), negative = make(-1), no_text = make(TORCHLITE_VALUE_STRING);
  text.as.text = "\xff\xfe";
  tensor.as.tensor = good();
  const torchlite_value mixed[] = {tensor, integer}, same[] = {integer, integer};
  const char* const twice[] = {"a", "a"};
  const char* const no_key[] = {NULL};
  CASE("kind 99", run_value(&strange))
  CASE("kind -1", run_value(&negative))
  CASE("none for a tensor", run_value(&none))
  CASE("int for a tensor", run_value(&integer))
  CASE("text that is no UTF-8", run_value(&text))
  CASE("text NULL", run_value(&no_text))
  CASE("items NULL", run_group(TORCHLITE_VALUE_LIST, 3, NULL, NULL))
  CASE("SIZE_MAX items", run_group(TORCHLITE_VALUE_LIST, SIZE_MAX, &integer, NULL))
  CASE("2^40 items", run_group(TORCHLITE_VALUE_TUPLE, (size_t)1 << 40, &integer, NULL))
  CASE("mixed list", run_group(TORCHLITE_VALUE_LIST, 2, mixed, NULL))
  CASE("keys NULL", run_group(TORCHLITE_VALUE_DICT, 1, &integer, NULL))
  CASE("key NULL", run_group(TORCHLITE_VALUE_DICT, 1, &integer, no_key))
  CASE("one key twice", run_group(TORCHLITE_VALUE_DICT, 2, same, twice))
  CASE("list 100000 deep", run_nested(TORCHLITE_VALUE_LIST, 100000))
  CASE("tuple 100000 deep", run_nested(TORCHLITE_VALUE_TUPLE, 100000))
  CASE("dict 100000 deep", run_nested(TORCHLITE_VALUE_DICT, 100000))
  CASE("list 1000 deep", run_nested(TORCHLITE_VALUE_LIST, 1000))
  CASE("tuple in itself", run_holding_itself())
}

int main(int count, char** arguments) {
  if (count != 2) {
    return 2;
  }
  path = arguments[1];
  load_wrongly();
  call_wrongly();
  describe_tensors_wrongly();
  pass_wrong_values();
  return 0;
}
