"""What each operator makes of shapes and dtypes.

A rule is a function of a `Question`; it returns the description of the result, or a list of
descriptions for an operator with several results. The description of a list of tensors is what
all its items share. None stands for what is not known; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import TensorInfo, Value
from builder.graph.operands import Call

Sizes: TypeAlias = tuple[int | None, ...]
Answer: TypeAlias = TensorInfo | list[TensorInfo | None] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A call whose results are asked for."""

    call: Call
    batched: bool = True
    """Whether an image of unknown rank has a batch dimension."""

    def info(self, name: str) -> TensorInfo:
        """Returns what is known about a tensor argument."""
        value = self.call.value(name)
        return (value.info if value is not None else None) or TensorInfo()

    def image(self, name: str, dims: int) -> Sizes | None:
        """Returns the sizes of the input of a convolution or pooling over `dims` dimensions."""
        sizes = self.info(name).sizes
        if sizes is None and self.batched:
            return (None,) * (dims + 2)
        return sizes if sizes is not None and len(sizes) in (dims + 1, dims + 2) else None

    def dim(self, name: str, rank: int) -> int | None:
        """Returns a dimension that is known, counted from the front."""
        found = self.call.static(name)
        return found % rank if type(found) is int and rank and -rank <= found < rank else None


def _same(question: Question) -> Answer:
    return question.call.node.inputs[0].info


def _clamp(question: Question) -> Answer:
    info = question.call.node.inputs[0].info
    if info is None or question.call.node.operator.endswith(".Tensor"):
        return None
    # The limits of a tensor of integers may make it one of floats.
    return TensorInfo(info.dtype if _is_float(info.dtype) else None, info.sizes)


def _is_float(dtype: str | None) -> bool:
    return dtype is not None and "float" in dtype


def _contiguous_floats(question: Question) -> Answer:
    """Elementwise functions whose result is a float for an integer."""
    info = question.call.node.inputs[0].info
    if info is None or _is_float(info.dtype):
        return info
    return TensorInfo(None, info.sizes)


def _convolution(dims: int, *, transposed: bool = False) -> Callable[[Question], Answer]:
    def rule(question: Question) -> Answer:
        call = question.call
        return _convolve(
            question,
            dims,
            transposed,
            call.integers("padding", dims),
            call.integers("output_padding", dims),
        )

    return rule


def _any_convolution(question: Question) -> Answer:
    weight = question.info("weight").sizes
    transposed = question.call.static("transposed")
    if weight is None or len(weight) < 3 or not isinstance(transposed, bool):
        return TensorInfo(question.info("input").dtype, None)
    dims = len(weight) - 2
    call = question.call
    return _convolve(
        question,
        dims,
        transposed,
        call.integers("padding", dims),
        call.integers("output_padding", dims),
    )


def _convolve(
    question: Question,
    dims: int,
    transposed: bool,
    padding: tuple[int, ...] | None,
    adjustment: tuple[int, ...] | None,
) -> Answer:
    weight = question.info("weight")
    dtype = question.info("input").dtype or weight.dtype
    sizes = question.image("input", dims)
    groups = question.call.static("groups")
    if sizes is None:
        return TensorInfo(dtype, None)
    channels = None
    if weight.sizes is not None and len(weight.sizes) == dims + 2:
        channels = weight.sizes[1 if transposed else 0]
        if transposed:
            channels = channels * groups if channels and isinstance(groups, int) else None
    stride = question.call.integers("stride", dims)
    dilation = question.call.integers("dilation", dims)
    spatial: list[int | None] = [None] * dims
    known = stride and padding is not None and dilation and weight.sizes and all(stride)
    if known and stride and padding and dilation and weight.sizes:
        for i, size in enumerate(sizes[-dims:]):
            kernel = weight.sizes[i + 2]
            if size is None or kernel is None:
                continue
            window = dilation[i] * (kernel - 1) + 1
            if not transposed:
                spatial[i] = (size + 2 * padding[i] - window) // stride[i] + 1
            elif adjustment is not None:
                spatial[i] = (size - 1) * stride[i] - 2 * padding[i] + window + adjustment[i]
    batch = sizes[: -dims - 1]
    return TensorInfo(dtype, (*batch, channels, *spatial))


def _prepacked_convolution(question: Question) -> Answer:
    sizes = question.image("X", 2)
    return TensorInfo("float32", None if sizes is None else (*sizes[:-3], None, None, None))


def _linear(question: Question) -> Answer:
    info, weight = question.info("input"), question.info("weight")
    dtype = info.dtype or weight.dtype
    if info.sizes is None or weight.sizes is None or not info.sizes:
        return TensorInfo(dtype, None)
    last = weight.sizes[:1] if len(weight.sizes) == 2 else ()
    return TensorInfo(dtype, (*info.sizes[:-1], *last))


def _prepacked_linear(question: Question) -> Answer:
    sizes = question.info("X").sizes
    return TensorInfo("float32", None if not sizes else (*sizes[:-1], None))


def _matmul(question: Question) -> Answer:
    names = ("self", "other") if question.call.value("other") else ("self", "mat2")
    left, right = (question.info(name) for name in names)
    dtype = left.dtype if left.dtype == right.dtype else None
    a, b = left.sizes, right.sizes
    if not a or not b:
        return TensorInfo(dtype, None)
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    batch = _broadcast(a[:-2], b[:-2])
    return TensorInfo(dtype, None if batch is None else (*batch, *rows, *columns))


def _addmm(question: Question) -> Answer:
    left, right = question.info("mat1"), question.info("mat2")
    dtype = left.dtype if left.dtype == right.dtype else None
    if left.sizes is None or right.sizes is None:
        return TensorInfo(dtype, (None, None))
    return TensorInfo(dtype, (*left.sizes[:1], *right.sizes[-1:]))


def _elementwise(question: Question) -> Answer:
    operands = question.call.node.inputs[:2]
    return TensorInfo(_promote(operands), _broadcast_values(operands))


def _division(question: Question) -> Answer:
    operands = question.call.node.inputs[:2]
    dtype = _promote(operands)
    return TensorInfo(dtype if _is_float(dtype) else None, _broadcast_values(operands))


def _comparison(question: Question) -> Answer:
    return TensorInfo("bool", _broadcast_values(question.call.node.inputs[:2]))


def _where(question: Question) -> Answer:
    condition, *operands = question.call.node.inputs
    if len(operands) != 2:
        return None
    return TensorInfo(_promote(operands), _broadcast_values([condition, *operands]))


def _ternary(question: Question) -> Answer:
    operands = question.call.node.inputs[:3]
    return TensorInfo(_promote(operands), _broadcast_values(operands))


def _promote(operands: Sequence[Value]) -> str | None:
    """Returns the dtype of a result, where it is sure: if all tensors have one dtype.

    Between tensors of several dtypes, torch's rules ask which of them have rank 0.
    """
    dtypes: set[str | None] = set()
    numbers: list[object] = []
    for value in operands:
        if value.is_constant and isinstance(value.constant, bool | int | float):
            numbers.append(value.constant)
        elif value.type in ("int", "float", "bool", "number", "Scalar"):
            numbers.append(0.0 if value.type != "int" else 0)
        else:
            dtypes.add(None if value.info is None else value.info.dtype)
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    if dtype is None or "float" in dtype:
        return dtype
    return dtype if all(type(number) is int for number in numbers) and dtype != "bool" else None


def _broadcast_values(operands: Sequence[Value]) -> Sizes | None:
    sizes: Sizes | None = ()
    for value in operands:
        if value.type in ("int", "float", "bool", "number", "Scalar") or (
            value.is_constant and isinstance(value.constant, bool | int | float)
        ):
            continue
        shape = None if value.info is None else value.info.sizes
        sizes = None if shape is None or sizes is None else _broadcast(sizes, shape)
    return sizes


def _broadcast(first: Sizes, second: Sizes) -> Sizes | None:
    rank = max(len(first), len(second))
    result: list[int | None] = []
    for a, b in zip(
        (1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True
    ):
        if a == 1 or b == 1:
            result.append(b if a == 1 else a)
        elif a is None or b is None:
            # A size that is not 1 wins; an unknown one is either 1 or the same.
            result.append(a if b is None else b)
        elif a == b:
            result.append(a)
        else:
            return None
    return tuple(result)


def _pooling(dims: int, *, indices: bool = False) -> Callable[[Question], Answer]:
    def rule(question: Question) -> Answer:
        call = question.call
        info, sizes = question.info("self"), question.image("self", dims)
        if sizes is None:
            return TensorInfo(info.dtype, None)
        kernel = call.integers("kernel_size", dims)
        stride = kernel if call.static("stride") in ([], None) else call.integers("stride", dims)
        padding = call.integers("padding", dims)
        has_dilation = any(a.name == "dilation" for a in call.schema.arguments)
        dilation = call.integers("dilation", dims) if has_dilation else (1,) * dims
        spatial: list[int | None] = [None] * dims
        if kernel and stride and padding is not None and dilation and all(stride):
            for i, size in enumerate(sizes[-dims:]):
                if size is not None and call.static("ceil_mode") is False:
                    window = dilation[i] * (kernel[i] - 1) + 1
                    spatial[i] = (size + 2 * padding[i] - window) // stride[i] + 1
        shape = (*sizes[:-dims], *spatial)
        found = TensorInfo(info.dtype, shape)
        return [found, TensorInfo("int64", shape)] if indices else found

    return rule


def _adaptive_pooling(dims: int) -> Callable[[Question], Answer]:
    def rule(question: Question) -> Answer:
        info, sizes = question.info("self"), question.image("self", dims)
        wanted = question.call.integers("output_size", dims)
        if sizes is None:
            return TensorInfo(info.dtype, None)
        return TensorInfo(info.dtype, (*sizes[:-dims], *(wanted or (None,) * dims)))

    return rule


def _resize(dims: int) -> Callable[[Question], Answer]:
    def rule(question: Question) -> Answer:
        name = question.call.schema.arguments[0].name
        info = question.info(name)
        wanted = question.call.integers("output_size", dims)
        if info.sizes is None or len(info.sizes) != dims + 2:
            return TensorInfo(info.dtype, (None,) * (dims + 2))
        return TensorInfo(info.dtype, (*info.sizes[:2], *(wanted or (None,) * dims)))

    return rule


def _reshape(question: Question) -> Answer:
    info = question.info("self")
    name = "size" if question.call.name == "aten::view" else "shape"
    wanted = _lengths(question.call.value(name))
    if wanted is None:
        return TensorInfo(info.dtype, None)
    sizes = [None if size == -1 else size for size in wanted]
    if wanted.count(-1) == 1 and None not in wanted and info.sizes and None not in info.sizes:
        total = math.prod(size for size in info.sizes if size is not None)
        rest = math.prod(size for size in wanted if size is not None and size != -1)
        if rest and total % rest == 0:
            sizes[wanted.index(-1)] = total // rest
    return TensorInfo(info.dtype, tuple(sizes))


def _lengths(value: Value | None) -> list[int | None] | None:
    """Returns the integers of a list, None in the place of those that are not constant."""
    if value is None or value.producer is None:
        return None
    if value.producer.operator == "prim::ListConstruct":
        found = [item.constant if item.is_constant else None for item in value.producer.inputs]
        return [item if type(item) is int else None for item in found]
    if value.is_constant:
        items = getattr(value.constant, "items", None)
        if isinstance(items, list) and all(type(item) is int for item in items):
            return list(items)
    return None


def _flatten(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    rank = len(info.sizes)
    start, end = question.dim("start_dim", rank), question.dim("end_dim", rank)
    if start is None or end is None or start > end:
        return TensorInfo(info.dtype, None)
    inner = info.sizes[start : end + 1]
    size = None if None in inner else math.prod(size for size in inner if size is not None)
    return TensorInfo(info.dtype, (*info.sizes[:start], size, *info.sizes[end + 1 :]))


def _permute(question: Question) -> Answer:
    info = question.info("self")
    dims = question.call.integers("dims")
    if dims is None:
        return TensorInfo(info.dtype, None)
    if info.sizes is None or len(dims) != len(info.sizes):
        return TensorInfo(info.dtype, (None,) * len(dims))
    return TensorInfo(info.dtype, tuple(info.sizes[dim] for dim in dims))


def _transpose(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    sizes = list(info.sizes)
    first, second = question.dim("dim0", len(sizes)), question.dim("dim1", len(sizes))
    if first is None or second is None:
        return TensorInfo(info.dtype, (None,) * len(sizes))
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return TensorInfo(info.dtype, tuple(sizes))


def _t(question: Question) -> Answer:
    info = question.info("self")
    return TensorInfo(info.dtype, None if info.sizes is None else info.sizes[::-1])


def _unsqueeze(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes) + 1)
    if dim is None:
        return TensorInfo(info.dtype, (None,) * (len(info.sizes) + 1))
    return TensorInfo(info.dtype, (*info.sizes[:dim], 1, *info.sizes[dim:]))


def _squeeze(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None or question.call.node.operator != "aten::squeeze.dim":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None or info.sizes[dim] is None:
        return TensorInfo(info.dtype, None)
    rest = info.sizes[:dim] + info.sizes[dim + 1 :]
    return TensorInfo(info.dtype, rest if info.sizes[dim] == 1 else info.sizes)


def _select(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None or question.call.node.operator != "aten::select.int":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * (len(info.sizes) - 1))
    return TensorInfo(info.dtype, info.sizes[:dim] + info.sizes[dim + 1 :])


def _slice(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None or question.call.node.operator != "aten::slice.Tensor":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * len(info.sizes))
    bounds = [question.call.static(name) for name in ("start", "end", "step")]
    size = info.sizes[dim]
    length = None
    if size is not None and all(item is None or type(item) is int for item in bounds):
        start, end, step = (item if type(item) is int else None for item in bounds)
        length = len(range(size)[start : min(end or 0, size) if end is not None else None : step])
    return TensorInfo(info.dtype, (*info.sizes[:dim], length, *info.sizes[dim + 1 :]))


def _chunk(question: Question) -> Answer:
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * len(info.sizes))
    size, chunks = info.sizes[dim], question.call.static("chunks")
    length = None
    if size is not None and type(chunks) is int and chunks > 0 and size % chunks == 0:
        length = size // chunks
    return TensorInfo(info.dtype, (*info.sizes[:dim], length, *info.sizes[dim + 1 :]))


def _concatenate(question: Question) -> Answer:
    tensors = question.call.value("tensors")
    if tensors is None or tensors.producer is None:
        return None
    if tensors.producer.operator != "prim::ListConstruct" or not tensors.producer.inputs:
        return None
    infos = [value.info or TensorInfo() for value in tensors.producer.inputs]
    dtypes = {info.dtype for info in infos}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    shapes = [info.sizes for info in infos]
    first = shapes[0]
    # An empty tensor of rank 1 may stand between others, so all ranks must be known.
    if first is None or any(shape is None or len(shape) != len(first) for shape in shapes):
        return TensorInfo(dtype, None)
    dim = question.dim("dim", len(first))
    if dim is None:
        return TensorInfo(dtype, (None,) * len(first))
    sizes: list[int | None] = []
    for i in range(len(first)):
        column = [shape[i] for shape in shapes if shape is not None]
        if i == dim:
            sizes.append(None if None in column else sum(size or 0 for size in column))
        else:
            sizes.append(next((size for size in column if size is not None), None))
    return TensorInfo(dtype, tuple(sizes))


def _reduce(question: Question) -> Answer:
    call = question.call
    info = question.info("self")
    # Integers are summed as int64, bools too; a given dtype is taken.
    dtype = info.dtype if _is_float(info.dtype) and call.static("dtype") is None else None
    dims = call.integers("dim")
    keep = call.static("keepdim")
    if info.sizes is None or not dims or not isinstance(keep, bool):
        return TensorInfo(dtype, None)
    rank = len(info.sizes)
    if any(not -rank <= dim < rank for dim in dims):
        return TensorInfo(dtype, None)
    gone = {dim % rank for dim in dims}
    sizes = [1 if i in gone else size for i, size in enumerate(info.sizes)]
    if not keep:
        sizes = [size for i, size in enumerate(sizes) if i not in gone]
    return TensorInfo(dtype, tuple(sizes))


def _embedding(question: Question) -> Answer:
    weight, indices = question.info("weight"), question.info("indices")
    if indices.sizes is None or weight.sizes is None:
        return TensorInfo(weight.dtype, None)
    return TensorInfo(weight.dtype, (*indices.sizes, *weight.sizes[1:]))


def _softmax(question: Question) -> Answer:
    info = question.info("self")
    return info if question.call.static("dtype") is None else TensorInfo(None, info.sizes)


def _to_dtype(question: Question) -> Answer:
    return TensorInfo(conversion_dtype(question.call), question.info("self").sizes)


def conversion_dtype(call: Call) -> str | None:
    """Returns the dtype of what an overload of `aten::to` returns; None if it is not known."""
    source, other = call.value("self"), call.value("other")
    if other is not None:
        return None if other.info is None else other.info.dtype
    code = call.static("dtype")
    if code is None:
        return None if source is None or source.info is None else source.info.dtype
    return SCALAR_TYPES[code] if type(code) is int and 0 <= code < len(SCALAR_TYPES) else None


def _expand(question: Question) -> Answer:
    info = question.info("self")
    wanted = _lengths(question.call.value("size"))
    if wanted is None:
        return TensorInfo(info.dtype, None)
    own: Sizes = (None,) * len(wanted)
    if info.sizes is not None:
        own = (None,) * (len(wanted) - len(info.sizes)) + info.sizes
    sizes = tuple(a if b == -1 else b for a, b in zip(own, wanted, strict=False))
    return TensorInfo(info.dtype, sizes)


def _pad(question: Question) -> Answer:
    name = question.call.schema.arguments[0].name
    info = question.info(name)
    padding = question.call.integers(question.call.schema.arguments[1].name)
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    sizes = list(info.sizes)
    if padding is None or len(padding) > 2 * len(sizes):
        return TensorInfo(info.dtype, (None,) * len(sizes))
    for i in range(len(padding) // 2):
        size = sizes[-1 - i]
        sizes[-1 - i] = None if size is None else size + padding[2 * i] + padding[2 * i + 1]
    return TensorInfo(info.dtype, tuple(sizes))


def _quantize(question: Question) -> Answer:
    code = question.call.static("dtype")
    dtype = SCALAR_TYPES[code] if type(code) is int and 0 <= code < len(SCALAR_TYPES) else None
    return TensorInfo(dtype, question.info("self").sizes)


def _dequantize(question: Question) -> Answer:
    if question.call.node.operator != "aten::dequantize.self":
        return None
    return TensorInfo("float32", question.info("self").sizes)


def _quantized_convolution(question: Question) -> Answer:
    info = question.info("qx")
    sizes = question.image("qx", 2)
    return TensorInfo(info.dtype, None if sizes is None else (*sizes[:-3], None, None, None))


_UNARY = (
    "abs neg relu relu6 hardtanh leaky_relu hardswish hardsigmoid silu"
    " gelu elu selu celu mish prelu softplus dropout feature_dropout alpha_dropout"
    " feature_alpha_dropout batch_norm instance_norm group_norm layer_norm contiguous detach clone"
    " fill zero alias triu tril roll flip floor ceil round channel_shuffle"
)
_FLOAT_UNARY = "sigmoid tanh exp log sqrt rsqrt sin cos erf reciprocal log_sigmoid"
_BINARY = "_add_relu add sub rsub mul pow maximum minimum remainder floor_divide"
_COMPARING = "eq ne lt le gt ge logical_and logical_or"

RULES: Final[Mapping[str, Callable[[Question], Answer]]] = {
    **{f"aten::{name}": _same for name in _UNARY.split()},
    **{f"aten::{name}": _contiguous_floats for name in _FLOAT_UNARY.split()},
    **{f"aten::{name}": _elementwise for name in _BINARY.split()},
    **{f"aten::{name}": _comparison for name in _COMPARING.split()},
    "aten::_adaptive_avg_pool2d": _adaptive_pooling(2),
    "aten::_convolution": _any_convolution,
    "aten::_softmax": _same,
    "aten::adaptive_avg_pool1d": _adaptive_pooling(1),
    "aten::adaptive_avg_pool2d": _adaptive_pooling(2),
    "aten::addcmul": _ternary,
    "aten::addmm": _addmm,
    "aten::avg_pool1d": _pooling(1),
    "aten::avg_pool2d": _pooling(2),
    "aten::bmm": _matmul,
    "aten::cat": _concatenate,
    "aten::chunk": _chunk,
    "aten::clamp": _clamp,
    "aten::clamp_max": _clamp,
    "aten::clamp_min": _clamp,
    "aten::constant_pad_nd": _pad,
    "aten::conv1d": _convolution(1),
    "aten::conv2d": _convolution(2),
    "aten::conv3d": _convolution(3),
    "aten::conv_transpose1d": _convolution(1, transposed=True),
    "aten::conv_transpose2d": _convolution(2, transposed=True),
    "aten::conv_transpose3d": _convolution(3, transposed=True),
    "aten::convolution": _any_convolution,
    "aten::dequantize": _dequantize,
    "aten::div": _division,
    "aten::embedding": _embedding,
    "aten::expand": _expand,
    "aten::flatten": _flatten,
    "aten::linear": _linear,
    "aten::log_softmax": _softmax,
    "aten::matmul": _matmul,
    "aten::max_pool1d": _pooling(1),
    "aten::max_pool2d": _pooling(2),
    "aten::max_pool2d_with_indices": _pooling(2, indices=True),
    "aten::mean": _reduce,
    "aten::mm": _matmul,
    "aten::pad": _pad,
    "aten::permute": _permute,
    "aten::quantize_per_tensor": _quantize,
    "aten::reflection_pad2d": _pad,
    "aten::replication_pad2d": _pad,
    "aten::reshape": _reshape,
    "aten::select": _select,
    "aten::slice": _slice,
    "aten::softmax": _softmax,
    "aten::squeeze": _squeeze,
    "aten::sum": _reduce,
    "aten::t": _t,
    "aten::to": _to_dtype,
    "aten::transpose": _transpose,
    "aten::unsqueeze": _unsqueeze,
    "aten::upsample_bicubic2d": _resize(2),
    "aten::upsample_bilinear2d": _resize(2),
    "aten::upsample_nearest2d": _resize(2),
    "aten::view": _reshape,
    "aten::where": _where,
    "prepacked::conv2d_clamp_run": _prepacked_convolution,
    "prepacked::conv2d_transpose_clamp_run": _prepacked_convolution,
    "prepacked::linear_clamp_run": _prepacked_linear,
    "quantized::conv2d": _quantized_convolution,
    "quantized::conv2d_relu": _quantized_convolution,
}
