// What most units of c10 include; builder/native/preludes.py compiles it once for all units with the same flags.

#pragma once

#include "begin.h"

#include <c10/core/TensorImpl.h>

#include "end.h"
