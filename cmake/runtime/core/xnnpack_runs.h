// In front of XNNPACK's operators, for runtimes with builder's own core: how an operator is spread over threads is linked
// with the operators that ask for it. Upstream's xnn_run_operator can do it in all ways, each with code of its own.

#pragma once

#include "xnnpack/compute.h"

typedef void (*torchlite_run)(
    pthreadpool_t threads, const struct compute_parameters* compute, void* context, uint32_t flags);

// By enum xnn_parallelization_type; null where no operator has asked yet.
extern __attribute__((visibility("hidden"))) torchlite_run torchlite_runs[];

#define TORCHLITE_RUN(way)                                                      \
  __attribute__((visibility("hidden"))) void torchlite_run_##way(               \
      pthreadpool_t threads, const struct compute_parameters* compute, void* context, uint32_t flags)

TORCHLITE_RUN(1d);
TORCHLITE_RUN(1d_with_thread);
TORCHLITE_RUN(1d_tile_1d);
TORCHLITE_RUN(2d);
TORCHLITE_RUN(2d_with_thread);
TORCHLITE_RUN(2d_tile_1d);
TORCHLITE_RUN(2d_tile_2d);
TORCHLITE_RUN(3d);
TORCHLITE_RUN(3d_tile_1d);
TORCHLITE_RUN(3d_tile_1d_with_thread);
TORCHLITE_RUN(3d_tile_2d);
TORCHLITE_RUN(4d);
TORCHLITE_RUN(4d_tile_2d);
TORCHLITE_RUN(5d);
TORCHLITE_RUN(5d_tile_2d);
TORCHLITE_RUN(6d_tile_2d);
TORCHLITE_RUN(2d_tile_1d_with_uarch);
TORCHLITE_RUN(2d_tile_2d_with_uarch);
TORCHLITE_RUN(3d_tile_1d_with_uarch);
TORCHLITE_RUN(3d_tile_1d_with_uarch_with_thread);
TORCHLITE_RUN(3d_tile_2d_with_uarch);
TORCHLITE_RUN(4d_tile_2d_with_uarch);

#ifndef TORCHLITE_RUNS_DEFINED
// Operators of several threads may ask at once, for the same.
#define TORCHLITE_ASK(way)                                                                                  \
  (__atomic_store_n(&torchlite_runs[xnn_parallelization_type_##way], torchlite_run_##way, __ATOMIC_RELAXED), \
   xnn_parallelization_type_##way)
// A name of its own is not replaced again.
#define xnn_parallelization_type_1d TORCHLITE_ASK(1d)
#define xnn_parallelization_type_1d_with_thread TORCHLITE_ASK(1d_with_thread)
#define xnn_parallelization_type_1d_tile_1d TORCHLITE_ASK(1d_tile_1d)
#define xnn_parallelization_type_2d TORCHLITE_ASK(2d)
#define xnn_parallelization_type_2d_with_thread TORCHLITE_ASK(2d_with_thread)
#define xnn_parallelization_type_2d_tile_1d TORCHLITE_ASK(2d_tile_1d)
#define xnn_parallelization_type_2d_tile_2d TORCHLITE_ASK(2d_tile_2d)
#define xnn_parallelization_type_3d TORCHLITE_ASK(3d)
#define xnn_parallelization_type_3d_tile_1d TORCHLITE_ASK(3d_tile_1d)
#define xnn_parallelization_type_3d_tile_1d_with_thread TORCHLITE_ASK(3d_tile_1d_with_thread)
#define xnn_parallelization_type_3d_tile_2d TORCHLITE_ASK(3d_tile_2d)
#define xnn_parallelization_type_4d TORCHLITE_ASK(4d)
#define xnn_parallelization_type_4d_tile_2d TORCHLITE_ASK(4d_tile_2d)
#define xnn_parallelization_type_5d TORCHLITE_ASK(5d)
#define xnn_parallelization_type_5d_tile_2d TORCHLITE_ASK(5d_tile_2d)
#define xnn_parallelization_type_6d_tile_2d TORCHLITE_ASK(6d_tile_2d)
#define xnn_parallelization_type_2d_tile_1d_with_uarch TORCHLITE_ASK(2d_tile_1d_with_uarch)
#define xnn_parallelization_type_2d_tile_2d_with_uarch TORCHLITE_ASK(2d_tile_2d_with_uarch)
#define xnn_parallelization_type_3d_tile_1d_with_uarch TORCHLITE_ASK(3d_tile_1d_with_uarch)
#define xnn_parallelization_type_3d_tile_1d_with_uarch_with_thread TORCHLITE_ASK(3d_tile_1d_with_uarch_with_thread)
#define xnn_parallelization_type_3d_tile_2d_with_uarch TORCHLITE_ASK(3d_tile_2d_with_uarch)
#define xnn_parallelization_type_4d_tile_2d_with_uarch TORCHLITE_ASK(4d_tile_2d_with_uarch)
#endif
