// What most units of ATen and of the interpreter include; see c10.h. Nothing here may read the lists of operators
// (op_allowlist.h), which units with a list of their own include behind this.

#pragma once

#include "begin.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/dynamic_type.h>
#include <ATen/core/function.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include "end.h"
