#include "core/plain_flags.h"

#include <c10/core/CPUAllocator.cpp>
