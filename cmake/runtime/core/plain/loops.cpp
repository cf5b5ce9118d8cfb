#include "loops.h"

#include <ATen/EmptyTensor.h>
#include <ATen/TensorUtils.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace torchlite {

namespace {

void remove(Sizes& from, size_t index) {
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(index));
}

// The order in which elements are visited: the last dimension is the row. Those that follow each other in all operands
// become one.
void simplify(Sizes& sizes, Steps& steps) {
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 1) {
      remove(sizes, i);
      for (int o = 0; o < steps.count; o++) {
        remove(steps.of[o], i);
      }
    }
  }
  // By the first operand's steps, the largest first. There are few dimensions.
  for (size_t i = 1; i < sizes.size(); i++) {
    for (size_t j = i; j > 0 && steps.of[0][j - 1] < steps.of[0][j]; j--) {
      std::swap(sizes[j - 1], sizes[j]);
      for (int o = 0; o < steps.count; o++) {
        std::swap(steps.of[o][j - 1], steps.of[o][j]);
      }
    }
  }
  for (size_t i = sizes.size(); i-- > 1;) {
    bool is_one = true;
    for (int o = 0; o < steps.count; o++) {
      is_one = is_one && steps.of[o][i - 1] == steps.of[o][i] * sizes[i];
    }
    if (is_one) {
      sizes[i] *= sizes[i - 1];
      remove(sizes, i - 1);
      for (int o = 0; o < steps.count; o++) {
        remove(steps.of[o], i - 1);
      }
    }
  }
}

// Copies of elements that keep their bytes.
template <typename Bits>
void move_row(char* const* at, const int64_t* steps, int64_t count, const void* /*with*/) {
  char *to = at[0], *from = at[1];
  const int64_t size = sizeof(Bits);
  if (steps[0] == size && steps[1] == size) {
    std::memmove(to, from, static_cast<size_t>(count * size));
    return;
  }
  for (int64_t i = 0; i < count; i++, to += steps[0], from += steps[1]) {
    std::memcpy(to, from, sizeof(Bits));
  }
}

struct Bits16 {
  uint64_t halves[2];
};

template <typename T>
T load(const char* at) {
  return *reinterpret_cast<const T*>(at);
}

// A file may have other bytes than 0 and 1.
template <>
bool load(const char* at) {
  return *at != 0;
}

template <typename To, typename From>
void convert_row(char* const* at, const int64_t* steps, int64_t count, const void* /*with*/) {
  char *to = at[0], *from = at[1];
  for (int64_t i = 0; i < count; i++, to += steps[0], from += steps[1]) {
    *reinterpret_cast<To*>(to) = static_cast<To>(load<From>(from));
  }
}

Row mover(size_t size) {
  switch (size) {
    case 1:
      return move_row<uint8_t>;
    case 2:
      return move_row<uint16_t>;
    case 4:
      return move_row<uint32_t>;
    case 8:
      return move_row<uint64_t>;
    default:
      return move_row<Bits16>;
  }
}

// The dtypes that this is linked for; the others have a name in the error.
template <typename To>
Row converter(at::ScalarType from) {
  switch (from) {
    case at::kFloat:
      return convert_row<To, float>;
    case at::kLong:
      return convert_row<To, int64_t>;
    case at::kBool:
      return convert_row<To, bool>;
    default:
      refuse_dtype("copy_", from);
  }
}

Row converter(at::ScalarType to, at::ScalarType from) {
  switch (to) {
    case at::kFloat:
      return converter<float>(from);
    case at::kLong:
      return converter<int64_t>(from);
    case at::kBool:
      return converter<bool>(from);
    default:
      refuse_dtype("copy_", to);
  }
}

bool is_dense_alike(const at::Tensor& left, const at::Tensor& right) {
  return left.sizes() == right.sizes() && left.strides() == right.strides() && left.is_non_overlapping_and_dense();
}

// Whether the dimension `outer` is to be inside of `inner`: 1, or not: -1, or nobody knows: 0.
int compare(const Steps& steps, at::IntArrayRef sizes, size_t outer, size_t inner) {
  for (int o = 0; o < steps.count; o++) {
    const int64_t first = steps.of[o][outer], second = steps.of[o][inner];
    if (first == 0 || second == 0) {
      continue;
    }
    if (first != second) {
      return first < second ? -1 : 1;
    }
    if (sizes[outer] > sizes[inner]) {
      return 1;
    }
  }
  return 0;
}

} // namespace

void for_each_row(Sizes sizes, Steps steps, char* const* start, Row row, const void* with) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) {
    return;
  }
  simplify(sizes, steps);
  if (sizes.empty()) {
    sizes.push_back(1);
    for (int o = 0; o < steps.count; o++) {
      steps.of[o].push_back(0);
    }
  }
  const size_t last = sizes.size() - 1;
  char* at[most_operands] = {};
  std::copy(start, start + steps.count, at);
  int64_t inner[most_operands] = {};
  for (int o = 0; o < steps.count; o++) {
    inner[o] = steps.of[o][last];
  }
  Sizes index(last, 0);
  for (;;) {
    row(at, inner, sizes[last], with);
    size_t i = last;
    for (;;) {
      if (i == 0) {
        return;
      }
      i--;
      index[i]++;
      for (int o = 0; o < steps.count; o++) {
        at[o] += steps.of[o][i];
      }
      if (index[i] < sizes[i]) {
        break;
      }
      for (int o = 0; o < steps.count; o++) {
        at[o] -= steps.of[o][i] * sizes[i];
      }
      index[i] = 0;
    }
  }
}

Sizes steps_of(const at::Tensor& tensor, at::IntArrayRef sizes) {
  const int64_t bytes = static_cast<int64_t>(tensor.element_size());
  Sizes steps(sizes.size(), 0);
  const size_t more = sizes.size() - static_cast<size_t>(tensor.dim());
  for (size_t i = more; i < sizes.size(); i++) {
    const bool is_repeated = tensor.sizes()[i - more] == 1 && sizes[i] != 1;
    steps[i] = is_repeated ? 0 : tensor.strides()[i - more] * bytes;
  }
  return steps;
}

at::Tensor make_result(at::IntArrayRef sizes, at::ScalarType dtype, const at::Tensor& left, const at::Tensor& right) {
  const bool are_alike = left.sizes() == sizes && right.sizes() == sizes;
  if (are_alike && left.is_contiguous() && right.is_contiguous()) {
    return at::detail::empty_cpu(sizes, dtype);
  }
  constexpr auto last = at::MemoryFormat::ChannelsLast;
  if (are_alike && left.is_contiguous(last) && right.is_contiguous(last)) {
    return at::detail::empty_cpu(sizes, dtype, false, last);
  }
  if (are_alike && is_dense_alike(left, right)) {
    return at::detail::empty_strided_cpu(sizes, left.strides(), dtype);
  }
  Steps steps;
  steps.count = 2;
  steps.of[0] = steps_of(left, sizes);
  steps.of[1] = steps_of(right, sizes);
  // From the innermost dimension on.
  Sizes order(sizes.size(), 0);
  std::iota(order.rbegin(), order.rend(), 0);
  for (size_t i = 1; i < order.size(); i++) {
    size_t inner = i;
    for (size_t outer = i; outer-- > 0;) {
      const int found = compare(steps, sizes, static_cast<size_t>(order[outer]), static_cast<size_t>(order[inner]));
      if (found > 0) {
        std::swap(order[outer], order[inner]);
        inner = outer;
      } else if (found < 0) {
        break;
      }
    }
  }
  // Where that is the order of the dimensions, a size of 0 counts as 1 for the strides.
  if (std::is_sorted(order.rbegin(), order.rend())) {
    return at::detail::empty_cpu(sizes, dtype);
  }
  Sizes strides(sizes.size(), 0);
  int64_t next = 1;
  for (const int64_t dimension : order) {
    strides[static_cast<size_t>(dimension)] = next;
    next *= sizes[static_cast<size_t>(dimension)];
  }
  return at::detail::empty_strided_cpu(sizes, strides, dtype);
}

void copy_elements(const at::Tensor& to, const at::Tensor& from) {
  const auto wanted = to.scalar_type(), given = from.scalar_type();
  Steps steps;
  steps.count = 2;
  steps.of[0] = steps_of(to, to.sizes());
  steps.of[1] = steps_of(from, to.sizes());
  char* const start[] = {static_cast<char*>(to.data_ptr()), static_cast<char*>(from.data_ptr())};
  const Row row = wanted == given ? mover(to.element_size()) : converter(wanted, given);
  for_each_row(Sizes(to.sizes().begin(), to.sizes().end()), steps, start, row, nullptr);
}

} // namespace torchlite
