// What most of PyTorch's units include; builder/native/preludes.py compiles it once for all units with the same flags.

#pragma once

#include <istream>
#include <ostream>

// <iostream> of libstdc++ has a static object that starts the streams in each unit that includes it. So as not to
// give it to units that do not include it, it is kept out here; units that do get it from there.
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_IOSTREAM)
#define TORCHLITE_WITHOUT_IOSTREAM
#define _GLIBCXX_IOSTREAM 1
namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION
extern istream cin;
extern ostream cout;
extern ostream cerr;
extern ostream clog;
_GLIBCXX_END_NAMESPACE_VERSION
} // namespace std
#endif

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/dynamic_type.h>
#include <ATen/core/function.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/op_registration/op_registration.h>
#include <torch/library.h>

#ifdef TORCHLITE_WITHOUT_IOSTREAM
#undef TORCHLITE_WITHOUT_IOSTREAM
#undef _GLIBCXX_IOSTREAM
#endif
