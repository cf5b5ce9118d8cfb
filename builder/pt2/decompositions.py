"""Operators of programs as operators that a release has and that builder's passes know.

One row for each: the name as programs have it, and a function of its arguments. `op` adds a call
and returns its result. A row stands here because the release lacks the operator, because a runtime
for CPUs needs it in another form, or because the passes fold and fuse the other form only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import Value
from builder.pt2.kinds import Operand, UnsupportedError

_FLOAT = SCALAR_TYPES.index("float32")
Call = Callable[..., Value]
Row = Callable[..., "Operand | tuple[Operand, ...]"]

DROPPED = frozenset(
    {
        "aten::_assert_async",
        "aten::_assert_async.msg",
        "aten::_assert_scalar",
        "aten::_assert_tensor_metadata",
        "aten::_functional_assert_async",
        "aten::_functional_assert_async.msg",
        "aten::_functional_assert_scalar",
        "aten::_functional_sym_constrain_range",
        "aten::_functional_sym_constrain_range_for_size",
        "aten::_print",
        "aten::sym_constrain_range",
        "aten::sym_constrain_range_for_size",
    }
)
"""Checks that the exporter adds: they have no results that a model needs."""


def _copy_to(op: Call, self: Operand, **given: Operand) -> Operand:
    dtype, layout = given.get("dtype"), given.get("memory_format")
    if dtype is None:
        return op("aten::clone", self, memory_format=layout)
    return op("aten::to.dtype", self, dtype, copy=True, memory_format=layout)


def _move(op: Call, self: Operand, **given: Operand) -> Operand:
    """Converts without the device: everything is on the CPU."""
    dtype, layout = given.get("dtype"), given.get("memory_format")
    if dtype is not None:
        copy = given.get("copy", False)
        return op("aten::to.dtype", self, dtype, copy=copy, memory_format=layout)
    if given.get("copy"):
        return op("aten::clone", self, memory_format=layout)
    return self if layout is None else op("aten::contiguous", self, memory_format=layout)


def _convolve(
    op: Call,
    input: Operand,  # noqa: A002 - named as in the schema
    weight: Operand,
    bias: Operand,
    stride: Operand,
    padding: Operand,
    dilation: Operand,
    transposed: Operand,
    output_padding: Operand,
    groups: Operand,
) -> Operand:
    """Calls the operator with the number of dimensions in its name, which the passes know."""
    sizes = weight.info.sizes if isinstance(weight, Value) and weight.info else None
    given = [input, weight, bias, stride, padding, dilation]
    # A stride of one number stands for all dimensions, so only the weight tells how many there are.
    dimensions = len(sizes) - 2 if sizes else 0
    if dimensions not in (1, 2, 3):
        return op("aten::convolution", *given, transposed, output_padding, groups)
    if not transposed:
        return op(f"aten::conv{dimensions}d", *given, groups)
    overload = "" if dimensions == 1 else ".input"
    given = [input, weight, bias, stride, padding, output_padding, groups, dilation]
    return op(f"aten::conv_transpose{dimensions}d{overload}", *given)


def _attend(
    op: Call, query: Operand, key: Operand, value: Operand, **given: Operand
) -> tuple[Operand, ...]:
    """Calls the operator that chooses a kernel at run time."""
    mask = given.get("attn_mask", given.get("attn_bias"))
    result = op(
        "aten::scaled_dot_product_attention",
        query,
        key,
        value,
        mask,
        given.get("dropout_p", 0.0),
        given.get("is_causal", False),
        scale=given.get("scale"),
    )
    # The other results are for training.
    return (result, *(None,) * 8)


def _group_norm(
    op: Call,
    input: Operand,  # noqa: A002 - named as in the schema, as are those below
    weight: Operand,
    bias: Operand,
    group: Operand,
    eps: Operand,
    **_: Operand,
) -> tuple[Operand, ...]:
    return op("aten::group_norm", input, group, weight, bias, eps, False), None, None


def _no_training(
    op: Call,
    input: Operand,  # noqa: A002
    weight: Operand,
    bias: Operand,
    running_mean: Operand,
    running_var: Operand,
    momentum: Operand,
    eps: Operand,
) -> tuple[Operand, ...]:
    given = (input, weight, bias, running_mean, running_var, False, momentum, eps, False)
    return op("aten::batch_norm", *given), None, None


def _layer_norm(
    op: Call,
    input: Operand,  # noqa: A002
    normalized_shape: Operand,
    weight: Operand,
    bias: Operand,
    eps: Operand,
) -> tuple[Operand, ...]:
    given = (input, normalized_shape, weight, bias, eps, False)
    return op("aten::layer_norm", *given), None, None


def _quantize(
    op: Call,
    input: Operand,  # noqa: A002
    scale: Operand,
    zero_point: Operand,
    quant_min: Operand,
    quant_max: Operand,
    dtype: Operand,
) -> Operand:
    """Rounds as torch/ao/quantization/fx/_decomposed.py, which multiplies by the inverse."""
    if not isinstance(scale, float) or not scale:
        raise UnsupportedError("its scale is not a number")
    scaled = op("aten::round", op("aten::mul.Scalar", input, 1.0 / scale))
    moved = op("aten::add.Scalar", scaled, zero_point)
    return op("aten::to.dtype", op("aten::clamp", moved, quant_min, quant_max), dtype)


def _dequantize(
    op: Call,
    input: Operand,  # noqa: A002
    scale: Operand,
    zero_point: Operand,
    out_dtype: Operand = None,
    **_: Operand,
) -> Operand:
    dtype = _FLOAT if out_dtype is None else out_dtype
    moved = op("aten::sub.Scalar", op("aten::to.dtype", input, dtype), zero_point)
    return op("aten::mul.Scalar", moved, scale)


def _dequantize_channels(
    op: Call,
    input: Operand,  # noqa: A002
    scales: Operand,
    zero_points: Operand,
    axis: Operand,
    out_dtype: Operand = None,
    **_: Operand,
) -> Operand:
    sizes = input.info.sizes if isinstance(input, Value) and input.info else None
    if sizes is None or not isinstance(axis, int) or not -len(sizes) <= axis < len(sizes):
        raise UnsupportedError("the dimensions of its input are not known")
    # One scale for each index of the axis, broadcast over all others.
    shape = [-1 if index == axis % len(sizes) else 1 for index in range(len(sizes))]
    dtype = _FLOAT if out_dtype is None else out_dtype
    moved = op("aten::to.dtype", input, dtype)
    if zero_points is not None:
        moved = op("aten::sub.Tensor", moved, op("aten::view", zero_points, shape))
    return op("aten::mul.Tensor", moved, op("aten::view", scales, shape))


def _rms_norm(
    op: Call,
    input: Operand,  # noqa: A002
    normalized_shape: Operand,
    weight: Operand,
    eps: Operand,
) -> tuple[Operand, ...]:
    return op("aten::rms_norm", input, normalized_shape, weight, eps), None


def _keep(_op: Call, self: Operand, **_others: Operand) -> Operand:
    return self


DECOMPOSITIONS: Mapping[str, Row] = {
    # The exporter's own notation.
    "aten::sym_size.int": lambda op, self, dim: op("aten::size.int", self, dim),
    "aten::sym_stride.int": lambda op, self, dim: op("aten::stride.int", self, dim),
    "aten::sym_numel": lambda op, self: op("aten::numel", self),
    "aten::sym_storage_offset": lambda op, self: op("aten::storage_offset", self),
    "aten::_local_scalar_dense": lambda op, self: op("aten::item", self),
    "aten::lift_fresh": _keep,
    "aten::lift_fresh_copy": lambda op, self: op("aten::clone", self),
    "aten::alias": _keep,
    "aten::alias_copy": lambda op, self: op("aten::clone", self),
    "aten::detach": _keep,
    "aten::detach_": _keep,
    "aten::detach_copy": lambda op, self: op("aten::clone", self),
    "prims::view_of": lambda _op, a: a,
    "prims::convert_element_type": lambda op, a, dtype: op("aten::to.dtype", a, dtype, copy=True),
    # Everything is on the CPU.
    "aten::_to_copy": _copy_to,
    "aten::to.device": _move,
    "aten::to.dtype_layout": _move,
    "aten::pin_memory": lambda op, self, **_: op("aten::clone", self),
    # What the passes fold and fuse.
    "aten::convolution": _convolve,
    "aten::_native_batch_norm_legit_no_training": _no_training,
    "aten::native_group_norm": _group_norm,
    "aten::native_layer_norm": _layer_norm,
    "aten::_unsafe_view": lambda op, self, size: op("aten::view", self, size),
    "aten::_softmax": lambda op, self, dim, **_: op("aten::softmax.int", self, dim),
    "aten::_log_softmax": lambda op, self, dim, **_: op("aten::log_softmax.int", self, dim),
    "aten::_adaptive_avg_pool2d": lambda op, self, output_size: op(
        "aten::adaptive_avg_pool2d", self, output_size
    ),
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attend,
    "aten::_scaled_dot_product_attention_math": _attend,
    # Attention of GPUs, in programs that were exported there.
    "aten::_scaled_dot_product_flash_attention": _attend,
    "aten::_scaled_dot_product_efficient_attention": _attend,
    "aten::_scaled_dot_product_cudnn_attention": _attend,
    # Checks of indexes only.
    "aten::_unsafe_index.Tensor": lambda op, self, indices: op("aten::index.Tensor", self, indices),
    # Quantised programs of PT2E, whose operators exist in Python only; they compute in float32.
    "quantized_decomposed::quantize_per_tensor": _quantize,
    "quantized_decomposed::dequantize_per_tensor": _dequantize,
    "quantized_decomposed::dequantize_per_channel": _dequantize_channels,
    # Newer than the release.
    "aten::_fused_rms_norm": _rms_norm,
}
"""Operator of a program -> function that calls others in its place."""
