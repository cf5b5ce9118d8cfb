// Pooling to a given size.

#include "core/builtins.h"
#include "core/calls.h"
#include "core/plain/loops.h"

#include <ATen/EmptyTensor.h>
#include <ATen/native/AdaptivePooling.h>
#include <ATen/native/xnnpack/Engine.h>
#include <c10/util/Exception.h>

namespace torchlite {

namespace {

struct Window {
  int64_t start, end;
  Window(int64_t index, int64_t outputs, int64_t inputs)
      : start(at::native::start_index(index, outputs, inputs)), end(at::native::end_index(index, outputs, inputs)) {}
  int64_t size() const {
    return end - start;
  }
};

// Means of windows: sums in the order of upstream's kernels, and divided as they do.
at::Tensor pool(const at::Tensor& input, int64_t height, int64_t width) {
  const int64_t dim = input.dim();
  TORCH_CHECK(
      dim == 3 || dim == 4, "adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got ", input.sizes());
  for (int64_t i = dim - 2; i < dim; i++) {
    TORCH_CHECK(
        input.size(i) > 0,
        "adaptive_avg_pool2d(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ",
        input.sizes(), " with dimension ", i, " being empty");
  }
  if (input.scalar_type() != at::kFloat) {
    refuse_dtype("adaptive_avg_pool2d", input.scalar_type());
  }
  Sizes sizes(input.sizes().begin(), input.sizes().end());
  sizes[static_cast<size_t>(dim) - 2] = height;
  sizes[static_cast<size_t>(dim) - 1] = width;
  const auto format = dim == 4 ? input.suggest_memory_format() : at::MemoryFormat::Contiguous;
  at::Tensor output = at::detail::empty_cpu(sizes, at::kFloat, false, format);
  if (output.numel() == 0) {
    return output;
  }
  const bool has_last = format == at::MemoryFormat::ChannelsLast;
  const int64_t batch = dim == 4 ? sizes[0] : 1;
  const int64_t channels = sizes[static_cast<size_t>(dim) - 3];
  const auto stride = [&](const at::Tensor& tensor, int64_t from_end) {
    return from_end > dim ? 0 : tensor.stride(dim - from_end);
  };
  const float* from = input.const_data_ptr<float>();
  float* to = output.mutable_data_ptr<float>();
  const int64_t row = stride(input, 2), column = stride(input, 1), channel = stride(input, 3);
  for (int64_t n = 0; n < batch; n++) {
    for (int64_t oh = 0; oh < height; oh++) {
      const Window rows(oh, height, input.size(dim - 2));
      for (int64_t ow = 0; ow < width; ow++) {
        const Window columns(ow, width, input.size(dim - 1));
        const float* start = from + n * stride(input, 4) + rows.start * row + columns.start * column;
        float* result = to + n * stride(output, 4) + oh * stride(output, 2) + ow * stride(output, 1);
        for (int64_t c = 0; c < channels; c++) {
          float sum = 0;
          for (int64_t h = 0; h < rows.size(); h++) {
            for (int64_t w = 0; w < columns.size(); w++) {
              sum += start[c * channel + h * row + w * column];
            }
          }
          const auto high = static_cast<float>(rows.size()), wide = static_cast<float>(columns.size());
          result[c * stride(output, 3)] = has_last ? sum / (high * wide) : sum / high / wide;
        }
      }
    }
  }
  return output;
}

} // namespace

TORCHLITE_PLAIN(pool_to_size, "aten::adaptive_avg_pool2d", "aten::_adaptive_avg_pool2d") {
  const Integers size = to_integers(pop(stack));
  const at::Tensor input = stack.back().to_tensor();
  TORCH_CHECK(size.size() == 2, "adaptive_avg_pool2d: output_size must be 2");
  TORCH_CHECK(
      size[0] >= 0 && size[1] >= 0,
      "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {",
      size[0], ", ", size[1], "}");
  if (size[0] == 1 && size[1] == 1 && at::native::xnnpack::use_global_average_pool(input)) {
    stack.back() = at::native::xnnpack::global_average_pool(input);
  } else {
    stack.back() = pool(input, size[0], size[1]);
  }
}

} // namespace torchlite
