// Flags of upstream's units as plain variables: no runtime has a command line that sets them, so that the registry
// with their names and parsers is left out.

#pragma once

#include <c10/util/Flags.h>

#undef C10_DEFINE_bool
#define C10_DEFINE_bool(name, otherwise, help) bool FLAGS_##name = otherwise;
#undef C10_DEFINE_int64
#define C10_DEFINE_int64(name, otherwise, help) int64_t FLAGS_##name = otherwise;
#undef C10_DEFINE_int
#define C10_DEFINE_int(name, otherwise, help) int FLAGS_##name = otherwise;
