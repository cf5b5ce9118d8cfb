// Loops over the elements of tensors, for runtimes with builder's own core and kernels for few dtypes: in place of
// TensorIterator, which has loops of each kernel for each way that tensors can lie in memory.

#pragma once

#include "selected_dtypes.h"

#include <ATen/core/Tensor.h>
#include <c10/util/SmallVector.h>

#include <cstdint>

namespace torchlite {

using Sizes = c10::SmallVector<int64_t, 6>;

constexpr int most_operands = 3;

// Of operands with the same sizes, how many bytes are between neighbours in each dimension.
struct Steps {
  Sizes of[most_operands];
  int count = 0;
};

// The row of a loop: `count` elements, with how many bytes from one to the next in each operand.
using Row = void (*)(char* const* at, const int64_t* steps, int64_t count, const void* with);

// Calls `row` for all elements. What lies in a row in all operands is given in one piece, and what lies near in the
// first operand is visited in turn.
void for_each_row(Sizes sizes, Steps steps, char* const* start, Row row, const void* with);

// The bytes between neighbours in a tensor that is seen with `sizes`: none where it is repeated.
Sizes steps_of(const at::Tensor& tensor, at::IntArrayRef sizes);

// A tensor for a result of these operands, with the strides that TensorIterator gives it (its reorder_dimensions).
at::Tensor make_result(at::IntArrayRef sizes, at::ScalarType dtype, const at::Tensor& left, const at::Tensor& right);

// Copies elements, with another dtype where the two differ.
void copy_elements(const at::Tensor& to, const at::Tensor& from);

} // namespace torchlite
