// Loading: a model is checked before upstream's loader sees it, and both read the same bytes.

#include "gpu.h"
#include "lite_module.h"
#include "pages.h"
#include "records.h"
#include "refusal.h"
#include "source.h"
#include "verifier/fault.h"
#include "verifier/verifier.h"

#include <c10/core/impl/alloc_cpu.h>
#include <torch/csrc/jit/mobile/flatbuffer_loader.h>

#include <cstring>
#include <istream>
#include <memory>
#include <stdexcept>

namespace torchlite {

namespace {

constexpr size_t header_size = 8;

Module load_flatbuffer(const Source& source, ExtraFiles& extra) {
  const auto size = static_cast<size_t>(source.size());
  const std::unique_ptr<char, void (*)(void*)> data(static_cast<char*>(c10::alloc_cpu(size)), c10::free_cpu);
  if (!source.read(0, data.get(), size)) {
    fail({"the model cannot be read"});
  }
  const bool has_extra = verify_flatbuffer(data.get(), size);
  // Tensors are copied out of it: loading runs __setstate__ of the model, which could write to tables that were checked
  // but are not read yet, if a tensor lay over them.
  return torch::jit::parse_and_initialize_mobile_module(
      data.get(),
      size,
      std::nullopt,
      has_extra && !extra.empty() ? &extra : nullptr,
      /*should_copy_tensor_memory=*/true);
}

Module load_zip(const Source& source, ExtraFiles& extra) {
  const RecordsInTurn in_turn(static_cast<size_t>(verify_zip(source)));
  SourceBuffer buffer(source);
  std::istream stream(&buffer);
  return torch::jit::_load_for_mobile(stream, std::nullopt, extra);
}

Module load_either(const Source& source, ExtraFiles& extra) {
  char header[header_size] = {};
  source.read(0, header, header_size);
  if (std::memcmp(header + 4, "PTMF", 4) == 0) {
    return load_flatbuffer(source, extra);
  }
  if (std::memcmp(header, "PK\x03\x04", 4) == 0) {
    return load_zip(source, extra);
  }
  fail({"this is not a model for the lite interpreter: it is neither kind of file"});
}

Module load(const Source& source, ExtraFiles& extra) {
  c10::InferenceMode guard;
  const Running running;
  const PagesAtOnce pages;
  [[maybe_unused]] const GpuTurn turn;
  Module module = load_either(source, extra);
  // Weights have been packed; what they came through is freed.
  wait_for_gpu();
  return module;
}

} // namespace

// Upstream's loader calls this; see the patch 0021-verified-models.
[[noreturn]] void refuse_load();

void refuse_load() {
  verifier::refuse("what it holds does not fit together");
}

Module load_module(const std::string& path, ExtraFiles& extra) {
  const Source source(path);
  try {
    return load(source, extra);
  } catch (const c10::Error& error) {
    fail({path, ": ", explain(error)});
  } catch (const std::runtime_error& error) {
    fail({path, ": ", error.what()});
  }
}

Module load_module(const std::string& path) {
  ExtraFiles extra;
  return load_module(path, extra);
}

Module load_module(const void* data, size_t size, ExtraFiles& extra) {
  return load(Source(data, size), extra);
}

Module load_module(const void* data, size_t size) {
  ExtraFiles extra;
  return load_module(data, size, extra);
}

} // namespace torchlite
