// Runs XNNPACK's operators, for runtimes with builder's own core: see xnnpack_runs.h. The computations are upstream's.

#define TORCHLITE_RUNS_DEFINED
#include "core/xnnpack_runs.h"

#include "xnnpack.h"
#include "xnnpack/operator.h"

// Nothing calls these two of upstream's unit, so that they are not linked.
#define xnn_run_operator torchlite_unused_run_operator
#define xnn_run_operator_with_index torchlite_unused_run_operator_with_index
enum xnn_status xnn_run_operator_with_index(xnn_operator_t, size_t, size_t, pthreadpool_t);
#include <operator-run.c>
#undef xnn_run_operator
#undef xnn_run_operator_with_index

#define RANGE(i) compute->range[i]
#define RANGES_1 RANGE(0)
#define RANGES_2 RANGES_1, RANGE(1)
#define RANGES_3 RANGES_2, RANGE(2)
#define RANGES_4 RANGES_3, RANGE(3)
#define RANGES_5 RANGES_4, RANGE(4)
#define RANGES_6 RANGES_5, RANGE(5)
#define TILES_1 compute->tile[0]
#define TILES_2 TILES_1, compute->tile[1]
#define DEFINE(way, task, ...)                                                           \
  TORCHLITE_RUN(way) {                                                                   \
    pthreadpool_parallelize_##way(threads, compute->task, context, __VA_ARGS__, flags);  \
  }

torchlite_run torchlite_runs[32];

DEFINE(1d, task_1d, RANGES_1)
DEFINE(1d_with_thread, task_1d_with_thread, RANGES_1)
DEFINE(1d_tile_1d, task_1d_tile_1d, RANGES_1, TILES_1)
DEFINE(2d, task_2d, RANGES_2)
DEFINE(2d_with_thread, task_2d_with_thread, RANGES_2)
DEFINE(2d_tile_1d, task_2d_tile_1d, RANGES_2, TILES_1)
DEFINE(2d_tile_2d, task_2d_tile_2d, RANGES_2, TILES_2)
DEFINE(3d, task_3d, RANGES_3)
DEFINE(3d_tile_1d, task_3d_tile_1d, RANGES_3, TILES_1)
DEFINE(3d_tile_1d_with_thread, task_3d_tile_1d_with_thread, RANGES_3, TILES_1)
DEFINE(3d_tile_2d, task_3d_tile_2d, RANGES_3, TILES_2)
DEFINE(4d, task_4d, RANGES_4)
DEFINE(4d_tile_2d, task_4d_tile_2d, RANGES_4, TILES_2)
DEFINE(5d, task_5d, RANGES_5)
DEFINE(5d_tile_2d, task_5d_tile_2d, RANGES_5, TILES_2)
DEFINE(6d_tile_2d, task_6d_tile_2d, RANGES_6, TILES_2)
#if XNN_MAX_UARCH_TYPES > 1
#define UARCHS 0, XNN_MAX_UARCH_TYPES - 1 // which micro-kernel on cores that nobody knows, and the last one
DEFINE(2d_tile_1d_with_uarch, task_2d_tile_1d_with_id, UARCHS, RANGES_2, TILES_1)
DEFINE(2d_tile_2d_with_uarch, task_2d_tile_2d_with_id, UARCHS, RANGES_2, TILES_2)
DEFINE(3d_tile_1d_with_uarch, task_3d_tile_1d_with_id, UARCHS, RANGES_3, TILES_1)
DEFINE(3d_tile_1d_with_uarch_with_thread, task_3d_tile_1d_with_id_with_thread, UARCHS, RANGES_3, TILES_1)
DEFINE(3d_tile_2d_with_uarch, task_3d_tile_2d_with_id, UARCHS, RANGES_3, TILES_2)
DEFINE(4d_tile_2d_with_uarch, task_4d_tile_2d_with_id, UARCHS, RANGES_4, TILES_2)
#endif

enum xnn_status xnn_run_operator_with_index(
    xnn_operator_t op, size_t opdata_index, size_t operator_object_index, pthreadpool_t threadpool) {
  (void)opdata_index;
  (void)operator_object_index;
  if (op->state == xnn_run_state_skip) {
    return xnn_status_success;
  }
  if (op->state != xnn_run_state_ready) {
    return xnn_status_invalid_state;
  }
  uint32_t flags = PTHREADPOOL_FLAG_DISABLE_DENORMALS;
  if (op->flags & XNN_FLAG_YIELD_WORKERS) {
    flags |= PTHREADPOOL_FLAG_YIELD_WORKERS;
  }
  for (size_t i = 0; i < XNN_MAX_COMPUTE_INVOCATIONS; i++) {
    const struct compute_parameters* compute = &op->compute[i];
    if (compute->type == xnn_parallelization_type_invalid) {
      continue;
    }
    const torchlite_run run = __atomic_load_n(&torchlite_runs[compute->type], __ATOMIC_RELAXED);
    if (run == NULL) {
      return xnn_status_unsupported_parameter; // an operator that was made without xnnpack_runs.h
    }
    run(threadpool, compute, (void*)((uintptr_t)&op->context + compute->context_offset), flags);
  }
  return xnn_status_success;
}

enum xnn_status xnn_run_operator(xnn_operator_t op, pthreadpool_t threadpool) {
  return xnn_run_operator_with_index(op, 0, 0, threadpool);
}
