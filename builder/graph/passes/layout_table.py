"""How operators treat tensors whose channels are last in memory.

A tensor of four dimensions is "channels last" when it is stored as NHWC; its sizes stay NCHW.
Read in PyTorch 2.6.0's and 1.13's kernels: operators here give the same values for any strides of
their inputs, those of `KEEPING` also give channels-last results for channels-last inputs.
"""

from __future__ import annotations

from typing import Final


def _names(text: str, namespace: str = "aten") -> frozenset[str]:
    return frozenset(f"{namespace}::{name}" for name in text.split())


ELEMENTWISE: Final = _names(
    "abs add clamp clamp_max clamp_min copy div dropout elu exp feature_dropout gelu hardsigmoid"
    " hardswish hardtanh leaky_relu log maximum minimum mul neg pow prelu reciprocal relu relu6"
    " rsqrt rsub sigmoid silu mish softplus sqrt square sub tanh celu selu erf floor ceil round"
    " fill _add_relu"
)
"""Functions of each element, also in place. Results are stored like the first operand that is not
broadcast; one in place is the operand itself."""
POOLING: Final = _names("adaptive_avg_pool2d avg_pool2d max_pool2d adaptive_max_pool2d")
KEEPING: Final = ELEMENTWISE | POOLING | _names("alias batch_norm channel_shuffle detach")
"""Their results are sure to be channels last if all of their tensors of four dimensions are."""
INDIFFERENT: Final = (
    KEEPING
    | _names(
        # Growing images: an image of one pixel is both NCHW and NHWC, its larger result is NCHW.
        "constant_pad_nd pad reflection_pad2d replication_pad2d upsample_bicubic2d"
        " upsample_bilinear2d upsample_nearest2d upsample_nearest_exact2d grid_sampler"
        # Normalisation and reductions.
        " amax amin argmax argmin group_norm instance_norm layer_norm log_softmax logsumexp max"
        " mean min norm softmax std sum var var_mean any all prod cumsum linalg_vector_norm"
        # Views.
        " chunk diagonal expand expand_as movedim narrow permute select slice split"
        " split_with_sizes squeeze t transpose unbind unflatten unsqueeze"
        # Copies.
        " cat clone concat flatten gather index index_select masked_fill masked_select repeat"
        " reshape stack to type_as where roll flip pixel_shuffle pixel_unshuffle"
        # Products, comparisons and conversions.
        " addmm baddbmm bmm matmul mm conv1d conv2d conv3d conv_transpose1d conv_transpose2d"
        " conv_transpose3d _convolution convolution eq ne lt le gt ge logical_not logical_and"
        " logical_or bitwise_not quantize_per_tensor dequantize float"
        # What gives no tensor.
        " dim size numel len is_floating_point __is__ __isnot__ __getitem__ item Bool Int Float"
    )
    | {"prim::dtype", "prim::device", "prim::NumToTensor"}
)
MAYBE_COPYING: Final = _names("contiguous flatten reshape reshape_as to view type_as expand_as")
"""They return a view or a copy; which of both depends on strides."""
ROW_MAJOR: Final = frozenset({"aten::linear", "prepacked::linear_clamp_run"})
"""Upstream's linear layers multiply rows of memory: XNNPACK's in torch 1.13 to 2.6 gives wrong
results for channels-last inputs (`suggest_memory_format` in ATen/native/xnnpack/Linear.cpp)."""
OF_STRIDES: Final = _names(
    "as_strided as_strided_ data is_contiguous resize_ resize_as_ set_ storage_offset stride"
    " view_as_real view_as_complex"
)
"""What they give depends on strides."""
GATHERING: Final = _names("cat concat stack index index_put_ einsum broadcast_tensors meshgrid")
"""They take lists of tensors with any strides."""
