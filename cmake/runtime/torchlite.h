/* torchlite.h: the whole interface of a runtime built by builder.
 *
 * A runtime loads lite-interpreter files (.ptl) and runs their methods on dense CPU tensors. It
 * exports these functions and nothing else. All functions are safe to call from C.
 *
 * Threads: different modules may be used from different threads at the same time. One module may be
 * used by one thread at a time. torchlite_error() is per thread.
 *
 * Models: a file is checked when it is loaded. One that is damaged or was tampered with gives
 * TORCHLITE_LOAD_FAILED or TORCHLITE_RUN_FAILED, with the reason. What a model computes is its own: it may
 * take any time, unless torchlite_set_step_limit() bounds it, and any memory that its operators ask for.
 *
 * Values: inputs are dense, contiguous, row-major, little-endian tensors, or have their channels last
 * (TORCHLITE_VALUE_CHANNELS_LAST). Where a method's parameter is an int, float or bool (or Optional of it), pass a
 * tensor without dimensions of int64, float64 or bool; where it is a list of them, a tensor of one dimension.
 * Outputs are flattened depth first: tuples and lists in order, dicts by insertion order, None is
 * left out; numbers become tensors without dimensions (int64, float64, bool). Lists, tuples, dicts and
 * strings pass as torchlite_value, by torchlite_run_values(). Objects cannot be passed or returned.
 */
#ifndef TORCHLITE_H
#define TORCHLITE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define TORCHLITE_API
#else
#define TORCHLITE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bumped when a function changes or goes; functions and kinds of inputs may be added without. */
#define TORCHLITE_ABI_VERSION 1

/* TORCHLITE_ABI_VERSION of the library that is loaded. A program that was compiled with another one cannot use it. */
TORCHLITE_API int32_t torchlite_abi_version(void);

/* Element types; the numbers are those of c10::ScalarType. */
typedef enum torchlite_dtype {
  TORCHLITE_UINT8 = 0,
  TORCHLITE_INT8 = 1,
  TORCHLITE_INT16 = 2,
  TORCHLITE_INT32 = 3,
  TORCHLITE_INT64 = 4,
  TORCHLITE_FLOAT16 = 5,
  TORCHLITE_FLOAT32 = 6,
  TORCHLITE_FLOAT64 = 7,
  TORCHLITE_BOOL = 11
} torchlite_dtype;

typedef enum torchlite_status {
  TORCHLITE_OK = 0,
  /* An argument is null, of an unknown dtype or kind, of a negative or overflowing size, has more than 64
   * dimensions or levels of values, or more than 16,777,216 items. */
  TORCHLITE_INVALID_ARGUMENT = 1,
  /* The file cannot be read, is no lite file, or needs what this runtime lacks. */
  TORCHLITE_LOAD_FAILED = 2,
  /* The method does not exist, its inputs do not fit, or an operator failed. A model that keeps its inputs when there
   * is no memory for copies of them fails in every later call too. */
  TORCHLITE_RUN_FAILED = 3,
  /* An output is of a kind, or a tensor of a dtype, without a code here. */
  TORCHLITE_UNSUPPORTED_OUTPUT = 4
} torchlite_status;

/* A tensor that somebody else owns. data: prod(sizes) elements. sizes: dims numbers, may be NULL
 * when dims is 0. */
typedef struct torchlite_tensor {
  torchlite_dtype dtype;
  int32_t dims;
  const int64_t* sizes;
  const void* data;
} torchlite_tensor;

/* What a torchlite_value holds, and where. */
typedef enum torchlite_kind {
  TORCHLITE_VALUE_NONE = 0,
  TORCHLITE_VALUE_TENSOR = 1, /* as.tensor */
  TORCHLITE_VALUE_BOOL = 2, /* as.integer: 0, or another */
  TORCHLITE_VALUE_INT = 3, /* as.integer */
  TORCHLITE_VALUE_FLOAT = 4, /* as.real */
  TORCHLITE_VALUE_STRING = 5, /* as.text: UTF-8, ended by a zero */
  TORCHLITE_VALUE_LIST = 6, /* as.group */
  TORCHLITE_VALUE_TUPLE = 7, /* as.group */
  TORCHLITE_VALUE_DICT = 8, /* as.group; keys are strings */
  /* as.tensor; of inputs alone. An image or volume whose data holds all channels of an element side by side (NHWC, NDHWC),
   * as cameras and decoders write them. Its sizes are in PyTorch's order nevertheless: 1, 3, 224, 224. */
  TORCHLITE_VALUE_CHANNELS_LAST = 9,
  TORCHLITE_VALUE_ANY = 10 /* of types alone: Any, a number of either kind, or an object of a class */
} torchlite_kind;

/* A value that somebody else owns, with all that it points to. */
typedef struct torchlite_value {
  torchlite_kind kind;
  union {
    torchlite_tensor tensor;
    int64_t integer;
    double real;
    const char* text;
    struct {
      size_t count;
      const struct torchlite_value* items;
      const char* const* keys; /* of a dict, one per item; NULL for an output whose keys are no strings */
    } group;
  } as;
} torchlite_value;

/* What calls of one operator took together. */
typedef struct torchlite_operator_time {
  const char* name; /* as "aten::add" */
  const char* overload; /* as "Tensor"; "" for the operator without one */
  uint64_t calls;
  uint64_t nanoseconds; /* as a clock on the wall counts, not as processors do */
} torchlite_operator_time;

/* The type of an input or output, as the file of the model says it. Files have no dtypes and shapes of tensors. */
typedef struct torchlite_type {
  torchlite_kind kind;
  int32_t is_optional; /* 1: None may stand in its place; else 0 */
  const char* text; /* as TorchScript spells it, as "List[Tensor]" */
  /* What it holds: the type of the items of a list, the types of all items of a tuple, those of the keys and of the
   * values of a dict. 0 for others. */
  size_t count;
  const struct torchlite_type* items;
} torchlite_type;

typedef struct torchlite_input {
  const char* name;
  torchlite_type type;
  int32_t has_default; /* 1: it may be left out, with all that follow; else 0 */
} torchlite_input;

typedef struct torchlite_method {
  const char* name;
  const char* text; /* as "forward(Tensor x) -> Tensor" */
  int32_t is_typed; /* 0: an old file, which has no types of this method; inputs and outputs are empty */
  size_t input_count;
  const torchlite_input* inputs;
  size_t output_count; /* 1, or 0 for a method that returns nothing */
  const torchlite_type* outputs;
} torchlite_method;

typedef enum torchlite_log_kind {
  TORCHLITE_LOG_WARNING = 0, /* of an operator, or of warnings.warn() in the model */
  TORCHLITE_LOG_PRINT = 1 /* what print() in the model writes, with its line break */
} torchlite_log_kind;

/* Takes a text, which is the callee's during the call only. It may come from any thread that loads or calls a model, also
 * from several at a time. The text is in the words of the model, which may be anybody's. The load or call waits for the
 * function, which may not throw. It cannot load or call a model, or set the number of threads: these
 * functions fail in it. */
typedef void (*torchlite_log_function)(void* user, torchlite_log_kind kind, const char* text);

typedef struct torchlite_module torchlite_module;
typedef struct torchlite_result torchlite_result;

/* Loads a lite file. On success *module is set and must be given to torchlite_module_free(). The file is read, not
 * mapped: it may change or go after the call. */
TORCHLITE_API torchlite_status torchlite_load(const char* path, torchlite_module** module);

/* The same from memory. The bytes are copied where needed; they may go after the call. */
TORCHLITE_API torchlite_status
torchlite_load_buffer(const void* data, size_t size, torchlite_module** module);

/* torchlite_load(), or torchlite_load_buffer() where path is NULL, with the contents of extra files that the model was
 * saved with (_extra_files of torch, --extra-file of builder): those of the `count` names. torchlite_module_file() gives
 * them. */
TORCHLITE_API torchlite_status torchlite_load_with_files(
    const char* path,
    const void* data,
    size_t size,
    const char* const* names,
    size_t count,
    torchlite_module** module);

/* What the extra file `name` holds, of those that the module was loaded with: *size bytes at *data, followed by a zero,
 * valid until the module is freed. *size is 0 where the model has no such file. */
TORCHLITE_API torchlite_status
torchlite_module_file(const torchlite_module* module, const char* name, const void** data, size_t* size);

/* The methods that can be called, sorted by name. *methods receives *count of them; they and all they point to are valid
 * until the module is freed. */
TORCHLITE_API torchlite_status
torchlite_module_methods(torchlite_module* module, const torchlite_method** methods, size_t* count);

/* Runs forward(). inputs: count tensors, used during the call only. A model whose operators work in place on
 * an input (x.add_(1)) writes into its memory, so that has to be writable. On success *result is set and
 * must be given to torchlite_result_free(). */
TORCHLITE_API torchlite_status torchlite_forward(
    torchlite_module* module,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result);

/* Runs a method by name. */
TORCHLITE_API torchlite_status torchlite_run_method(
    torchlite_module* module,
    const char* method,
    const torchlite_tensor* inputs,
    size_t count,
    torchlite_result** result);

/* The same with inputs of any kind. */
TORCHLITE_API torchlite_status torchlite_run_values(
    torchlite_module* module,
    const char* method,
    const torchlite_value* inputs,
    size_t count,
    torchlite_result** result);

/* Describes what the method returned, as it is; what it points to lives as long as the result, and no later call
 * changes it: what the model still holds of it is copied. */
TORCHLITE_API torchlite_status
torchlite_result_value(const torchlite_result* result, torchlite_value* value);

/* The number of output tensors, flattened; of torchlite_run_values() without strings. */
TORCHLITE_API size_t torchlite_result_count(const torchlite_result* result);

/* Describes output `index`; what it points to lives as long as the result. */
TORCHLITE_API torchlite_status
torchlite_result_tensor(const torchlite_result* result, size_t index, torchlite_tensor* tensor);

TORCHLITE_API void torchlite_result_free(torchlite_result* result);
TORCHLITE_API void torchlite_module_free(torchlite_module* module);

/* What went wrong in the last failed call of this thread; "" when none failed. Valid until the
 * next call on this thread. */
TORCHLITE_API const char* torchlite_error(void);

/* The operators this runtime has registered, sorted, as "aten::add.Tensor", ended by NULL. Valid
 * for ever. *count, when given, receives their number. */
TORCHLITE_API const char* const* torchlite_operators(size_t* count);

/* Where models can run with this runtime on this device: "cpu", and "vulkan" or "metal" where the runtime has its
 * kernels and the device has a GPU that it can use. Ended by NULL, valid for ever. *count, when given, receives their
 * number. A model that was exported for a GPU fails to load, with the reason, where there is none. */
TORCHLITE_API const char* const* torchlite_devices(size_t* count);

/* Version of PyTorch this runtime is built from, e.g. "2.6.0". */
TORCHLITE_API const char* torchlite_version(void);

/* How many threads operators may use, with the one that calls; all modules of the process share them. 0, as at the
 * start, leaves the choice to the runtime, or leaves what was set. It may be called at any time, also after models were
 * loaded and run: it waits until calls and loads on other threads end, and those that begin meanwhile wait for it.
 * More than 64 are refused, where that is more than four per processor. */
TORCHLITE_API torchlite_status torchlite_set_threads(int32_t threads);

/* Whether threads wait for their next work awake, at first: it saves some microseconds for each operator, and costs up
 * to a tenth of a millisecond of each processor after every call. They do at the start. 0: they sleep
 * at once. Others: as at the start. For all modules, from now on. With one thread nothing waits, and on Apple's systems
 * the system decides. */
TORCHLITE_API torchlite_status torchlite_set_spinning(int32_t on);

/* How many instructions of its bytecode a model may take in one call, for all modules of the process from
 * now on; loading runs some too. A call that takes more fails with TORCHLITE_RUN_FAILED (loading with
 * TORCHLITE_LOAD_FAILED). 0, as at the start, for any number. A model of a thousand layers takes some ten
 * thousand; what one operator does is one instruction. */
TORCHLITE_API torchlite_status torchlite_set_step_limit(uint64_t steps);

/* Gives warnings and what models print to `function`, with `user`, from now on; without it, as at the start, and with NULL,
 * they go to standard error and standard output (on Android, to its log). What another thread is writing may still come
 * after the call. On Apple's systems, what models print goes to standard output all the same. */
TORCHLITE_API torchlite_status torchlite_set_log(torchlite_log_function function, void* user);

/* Keeps in a file what the driver of the GPU makes of shaders, so that a later process need not wait until it has made
 * that again. Name the file before the first model is loaded. It is read then, and written at the end of loads and calls
 * that made more. A file that is damaged, or of another device or driver, is ignored and replaced; one that cannot be
 * written is none. Choose a folder that only the app can write to: the driver believes what it finds. NULL, as at the
 * start, for no file. It has no effect on runtimes without Vulkan. */
TORCHLITE_API torchlite_status torchlite_set_pipeline_cache(const char* path);

/* Seeds the random numbers that operators draw, as torch.manual_seed() does, for all modules.
 * Without it every process draws others. Does nothing where no operator draws any. */
TORCHLITE_API torchlite_status torchlite_set_seed(uint64_t seed);

/* From now on, calls of this module's methods measure their operators; what was measured before is forgotten. That
 * costs some 0.1 microseconds for each operator. Calls of other modules measure nothing. */
TORCHLITE_API torchlite_status torchlite_profile_start(torchlite_module* module);

/* Ends that. *times receives *count entries, one for each operator that was called, in the order of the first
 * calls. They are valid until torchlite_profile_start() is called again, or the module is freed. Their sum is less than
 * the calls took, which also read inputs, interpret and copy results. An operator that fails is counted without its
 * time. On a GPU, operators take the time that the CPU needs to give it work. */
TORCHLITE_API torchlite_status
torchlite_profile_stop(torchlite_module* module, const torchlite_operator_time** times, size_t* count);

#ifdef __cplusplus
}
#endif

#endif
