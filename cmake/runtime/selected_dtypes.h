// In front of units that dispatch by dtype, when a runtime has kernels for some dtypes only; builder/native/build_units.py
// puts TORCHLITE_DTYPES in front of it.
//
// TORCHLITE_DTYPES has bit N set when ScalarType N is in. The check below is the one that ATen's
// dispatch macros make before each kernel; what follows a call that never returns is not emitted.
// Not an upstream error macro: those lose their text where messages are stripped.

#ifndef TORCHLITE_SELECTED_DTYPES_H
#define TORCHLITE_SELECTED_DTYPES_H

#include <ATen/Dispatch.h>

#include <string>

namespace torchlite {

constexpr bool has_dtype(c10::ScalarType type) {
  return (TORCHLITE_DTYPES >> static_cast<unsigned>(type) & 1) != 0;
}

// Throws; the text begins as `builder verify` expects it. Names of torch, by ScalarType.
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_dtype(
    const char* kernel, c10::ScalarType type) {
  static constexpr const char* kNames[] = {
      "uint8",   "int8",      "int16",      "int32", "int64", "float16", "float32", "float64",
      "complex32", "complex64", "complex128", "bool",  "qint8", "quint8",  "qint32",  "bfloat16"};
  const auto code = static_cast<unsigned>(type);
  std::string text = "this runtime was built without kernels for dtype ";
  text += code < sizeof(kNames) / sizeof(*kNames) ? kNames[code] : c10::toString(type);
  text.append(", and \"").append(kernel).append("\" was asked for it");
  throw c10::Error({__func__, "selected_dtypes.h", __LINE__}, std::move(text));
}

} // namespace torchlite

#undef AT_PRIVATE_CHECK_SELECTIVE_BUILD
#define AT_PRIVATE_CHECK_SELECTIVE_BUILD(enum_type)          \
  if constexpr (!torchlite::has_dtype(enum_type)) {          \
    torchlite::refuse_dtype(at_dispatch_name, enum_type);    \
  }

#endif // TORCHLITE_SELECTED_DTYPES_H
