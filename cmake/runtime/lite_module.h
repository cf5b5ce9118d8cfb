// Models of the lite interpreter as the C API and the JNI layer both load and call them.

#pragma once

#include "no_autograd.h"

#include <ATen/Parallel.h>
#include <ATen/core/dynamic_type.h>
#include <ATen/core/jit_type.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/mobile/import.h>
#include <torch/csrc/jit/mobile/module.h>

#include <istream>
#include <streambuf>
#include <string>

namespace torchlite {

using Module = torch::jit::mobile::Module;
using Method = torch::jit::mobile::Method;
using ExtraFiles = torch::jit::ExtraFilesMap;

class MemoryBuffer : public std::streambuf {
 public:
  MemoryBuffer(const void* data, size_t size) {
    char* begin = const_cast<char*>(static_cast<const char*>(data));
    setg(begin, begin, begin + size);
  }

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode) override {
    char* base = from == std::ios_base::beg ? eback() : from == std::ios_base::cur ? gptr() : egptr();
    return seekpos(base - eback() + offset, std::ios_base::in);
  }

  pos_type seekpos(pos_type position, std::ios_base::openmode) override {
    if (position < 0 || position > egptr() - eback()) {
      return pos_type(off_type(-1));
    }
    setg(eback(), eback() + off_type(position), egptr());
    return position;
  }
};

inline Module load_module(const std::string& path) {
  c10::InferenceMode guard;
  return torch::jit::_load_for_mobile(path);
}

// Puts the contents of the files that `extra` names into it.
inline Module load_module(const std::string& path, ExtraFiles& extra) {
  c10::InferenceMode guard;
  return torch::jit::_load_for_mobile(path, std::nullopt, extra);
}

inline Module load_module(const void* data, size_t size) {
  c10::InferenceMode guard;
  MemoryBuffer buffer(data, size);
  std::istream stream(&buffer);
  return torch::jit::_load_for_mobile(stream);
}

// The lite interpreter's schemas hold DynamicType in place of the types themselves.
inline c10::TypeKind kind_of(const c10::Type& type) {
  const auto* dynamic = type.castRaw<c10::DynamicType>();
  return dynamic != nullptr ? dynamic->dynamicKind() : type.kind();
}

} // namespace torchlite
