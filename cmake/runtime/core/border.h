// Between the values of torchlite.h and those of builder's own core.

#pragma once

#include "../torchlite.h"

#include "lite_module.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace torchlite {

// What the caller or the model did that this interface cannot carry.
class Failure : public std::runtime_error {
 public:
  Failure(torchlite_status status, const std::string& text)
      : std::runtime_error(text), status(status) {}
  const torchlite_status status;
};

// Refuses more items in one place than memory has room for. Throws Failure.
void check_count(size_t count);

// The caller's values for one call, on their way in.
class Inputs {
 public:
  // `is_lost` becomes true when there was no memory for a copy of what the model has kept: it holds tensors without data
  // then, and cannot be run again. The core has no tensors on a GPU.
  Inputs(bool, bool& is_lost) : is_lost_(is_lost) {}

  // `above`: levels of groups that hold it.
  Value read(const torchlite_value& value, TypePtr wanted, int above = 0);

  Inputs(const Inputs&) = delete;
  ~Inputs();

  // The caller's memory is the caller's again when the call ends: what the model has kept of it, or
  // returns, gets a copy. Arguments must be gone by then.
  void give_back();

 private:
  at::Tensor borrow(const torchlite_tensor& tensor);
  Value read_tensor(const torchlite_tensor& tensor, const Type* wanted);
  at::Tensor read_channels_last(const torchlite_tensor& tensor);
  Value to_number(const torchlite_tensor& tensor, TypeKind kind);
  Value to_numbers(const torchlite_tensor& tensor, TypeKind kind);
  Value read_group(const torchlite_value& value, const Type* wanted, int above);

  std::vector<c10::Storage> borrowed_;
  bool& is_lost_;
};

// What a method returned, kept for the caller.
class Outputs {
 public:
  Outputs() = default;
  Outputs(const Outputs&) = delete;

  // Once. A flat caller has no use for strings, and is told so.
  void set(const Value& value, bool flat);

  const torchlite_value& value() const {
    return value_;
  }

  // Depth first, numbers as tensors without dimensions.
  const std::vector<torchlite_tensor>& leaves() const {
    return leaves_;
  }

 private:
  torchlite_value describe(const Value& value);
  torchlite_tensor describe_tensor(const at::Tensor& tensor);
  torchlite_value describe_group(torchlite_kind kind, const std::vector<Value>& items);
  torchlite_value describe_dict(const Value& value);
  const char* keep(const Value& text);
  void flatten(const torchlite_value& value, bool flat);

  torchlite_value value_{};
  std::vector<torchlite_tensor> leaves_;
  std::vector<at::Tensor> tensors_;
  std::vector<Value> texts_;
  std::vector<std::unique_ptr<torchlite_value[]>> items_;
  std::vector<std::unique_ptr<const char*[]>> keys_;
};

} // namespace torchlite
