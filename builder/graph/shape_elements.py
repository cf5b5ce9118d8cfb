"""Shapes and dtypes of functions of each element, of reductions and conversions."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import TensorInfo, Value
from builder.graph.operands import Call
from builder.graph.shape_questions import Answer, Question, Sizes, broadcast

_REAL = frozenset(
    ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64")
)


def keep(question: Question) -> Answer:
    """The rule for a result that is like the first argument."""
    return question.call.node.inputs[0].info


def keep_reals(question: Question) -> Answer:
    """The rule for a result whose dtype is that of the first argument if this has real numbers."""
    info = question.call.node.inputs[0].info
    if info is None or (info.dtype is not None and info.dtype in _REAL):
        return info
    return TensorInfo(None, info.sizes)


def clamp(question: Question) -> Answer:
    """The rule for limits of numbers."""
    info = question.call.node.inputs[0].info
    if info is None or question.call.node.operator.endswith(".Tensor"):
        return None
    # The limits of a tensor of integers may make it one of floats.
    return TensorInfo(info.dtype if _is_float(info.dtype) else None, info.sizes)


def _is_float(dtype: str | None) -> bool:
    return dtype is not None and "float" in dtype


def make_floats(question: Question) -> Answer:
    """Elementwise functions whose result is a float for an integer."""
    info = question.call.node.inputs[0].info
    if info is None or _is_float(info.dtype):
        return info
    return TensorInfo(None, info.sizes)


def elementwise(question: Question) -> Answer:
    """The rule for two operands that are computed together."""
    operands = question.call.node.inputs[:2]
    return TensorInfo(_promote(operands), all_sizes(operands))


def division(question: Question) -> Answer:
    """The rule for a quotient, which is a float."""
    operands = question.call.node.inputs[:2]
    dtype = _promote(operands)
    return TensorInfo(dtype if _is_float(dtype) else None, all_sizes(operands))


def comparison(question: Question) -> Answer:
    """The rule for what is true or false of each element."""
    return TensorInfo("bool", all_sizes(question.call.node.inputs[:2]))


def where(question: Question) -> Answer:
    """The rule for a choice between two tensors."""
    condition, *operands = question.call.node.inputs
    if len(operands) != 2:
        return None
    return TensorInfo(_promote(operands), all_sizes([condition, *operands]))


def ternary(question: Question) -> Answer:
    """The rule for three operands that are computed together."""
    operands = question.call.node.inputs[:3]
    return TensorInfo(_promote(operands), all_sizes(operands))


def _promote(operands: Sequence[Value]) -> str | None:
    """Returns the dtype of a result, where it is sure: if all tensors have one dtype.

    Between tensors of several dtypes, torch's rules ask which of them have rank 0.
    """
    dtypes: set[str | None] = set()
    numbers: list[object] = []
    for value in operands:
        if value.is_constant and isinstance(value.constant, bool | int | float):
            numbers.append(value.constant)
        elif value.type in ("number", "Scalar"):
            # It may be a complex number.
            return None
        elif value.type in ("int", "float", "bool"):
            numbers.append(0.0 if value.type != "int" else 0)
        else:
            dtypes.add(None if value.info is None else value.info.dtype)
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    # A number never changes the dtype of a tensor of floats, so its kind does not matter.
    if dtype is None or "float" in dtype:
        return dtype
    return dtype if all(type(number) is int for number in numbers) and dtype != "bool" else None


def all_sizes(operands: Sequence[Value]) -> Sizes | None:
    """Returns the sizes of what is computed of some operands together; None if not known."""
    sizes: Sizes | None = ()
    for value in operands:
        # Numbers have no shape and fit every tensor.
        if value.type in ("int", "float", "bool", "number", "Scalar") or (
            value.is_constant and isinstance(value.constant, bool | int | float)
        ):
            continue
        shape = None if value.info is None else value.info.sizes
        sizes = None if shape is None or sizes is None else broadcast(sizes, shape)
    return sizes


def reduce(question: Question) -> Answer:
    """The rule for sums and means over dimensions."""
    call = question.call
    info = question.info("self")
    # Integers are summed as int64, bools too; a given dtype is taken.
    dtype = info.dtype if _is_float(info.dtype) and call.static("dtype") is None else None
    if "dim" not in call.schema.positions:
        return TensorInfo(dtype, ())
    dims = call.integers("dim")
    keep = call.static("keepdim")
    if info.sizes is None or not dims or not isinstance(keep, bool):
        return TensorInfo(dtype, info.sizes and _reduced(info.sizes, call.static("dim"), keep))
    rank = len(info.sizes)
    if any(not -rank <= dim < rank for dim in dims):
        return TensorInfo(dtype, None)
    # Negative dimensions count from the end.
    gone = {dim % rank for dim in dims}
    sizes = [1 if i in gone else size for i, size in enumerate(info.sizes)]
    if not keep:
        sizes = [size for i, size in enumerate(sizes) if i not in gone]
    return TensorInfo(dtype, tuple(sizes))


def _reduced(sizes: Sizes, dim: object, keep: object) -> Sizes | None:
    """Returns what is left of sizes if it is not known which dimensions are summed."""
    if keep is True:
        return (None,) * len(sizes)
    return () if keep is False and (dim is None or dim == []) else None


def softmax(question: Question) -> Answer:
    """The rule for softmax, which may convert its result."""
    info = question.info("self")
    return info if question.call.static("dtype") is None else TensorInfo(None, info.sizes)


def to_dtype(question: Question) -> Answer:
    """The rule for conversions."""
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


def quantize(question: Question) -> Answer:
    """The rule for a tensor that is quantised."""
    code = question.call.static("dtype")
    dtype = SCALAR_TYPES[code] if type(code) is int and 0 <= code < len(SCALAR_TYPES) else None
    return TensorInfo(dtype, question.info("self").sizes)


def dequantize(question: Question) -> Answer:
    """The rule for a quantised tensor that becomes one of floats."""
    if question.call.node.operator != "aten::dequantize.self":
        return None
    return TensorInfo("float32", question.info("self").sizes)
