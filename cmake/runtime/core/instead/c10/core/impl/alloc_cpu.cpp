#include "core/plain_flags.h"

#include <c10/core/impl/alloc_cpu.cpp>
