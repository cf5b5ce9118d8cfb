"""Whether a Vulkan kernel computes a call as ATen does on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from builder.core.vulkan import Kernel
from builder.graph.graph import TensorInfo, Value
from builder.graph.operands import UNKNOWN, Call
from builder.graph.shapes import merge_infos

_INTEGERS = frozenset({"uint8", "int8", "int16", "int32", "int64"})
_MIXING = frozenset(
    {
        *("aten::add", "aten::cat", "aten::div", "aten::expand_as", "aten::floor_divide"),
        *("aten::masked_fill", "aten::mul", "aten::stack", "aten::sub", "aten::view_as"),
    }
)
"""Operators that take tensors of different dtypes; all others refuse them on the CPU too."""


def find_obstacle(call: Call, kernel: Kernel) -> str:
    """Says why the kernel does not compute what `call` asks for; an empty text if it does.

    A kernel that gives wrong numbers is an obstacle as one that raises an error. What is not known
    before the model runs counts as if it were wrong, except numbers of dimensions: a kernel refuses
    those with an error.
    """
    if kernel.refused:
        return kernel.refused
    return next((reason for check in _CHECKS for reason in check(call, kernel)), "")


def find_misfit(call: Call, kernel: Kernel, on_gpu: Container[Value], most_dimensions: int) -> str:
    """Says which tensor the kernel cannot take or make; an empty text if there is none.

    Notes the dtypes of tensors that are on the CPU, where the operator leaves no choice.
    """
    for argument, value in zip(call.schema.arguments, call.node.inputs, strict=False):
        if value in on_gpu or "Tensor" not in argument.type or _is_none(value):
            continue
        may_stay = argument.name in kernel.either
        if value.type.startswith("List") and not may_stay:
            return f"its argument {argument.name} is a list of tensors on the CPU"
        if not _takes(call, argument.name if may_stay else "", value):
            return f"its argument {argument.name} has {describe_elements(value)}"
        if not may_stay:
            value.info = merge_infos(value.info, TensorInfo("float32"))
    for value in (*call.node.inputs, *call.node.outputs):
        sizes = None if value.info is None else value.info.sizes
        if sizes is not None and len(sizes) > most_dimensions:
            return f"a tensor of {len(sizes)} dimensions"
        # An image on the GPU has at least one element, and kernels would read what is in it.
        if sizes is not None and 0 in sizes:
            return "a tensor without elements"
    return ""


def describe_elements(value: Value) -> str:
    """Returns what is known about a tensor, for a message."""
    info = value.info
    if info is None or info.dtype is None:
        return "elements of an unknown dtype"
    many = f" and {len(info.sizes)} dimensions" if info.sizes is not None else ""
    return f"{info.dtype} elements{many}"


def _takes(call: Call, name: str, value: Value) -> bool:
    """Whether kernels take a tensor from the CPU, as the argument `name` that may be there."""
    dtype = None if value.info is None else value.info.dtype
    if name == "mask":
        return dtype in (None, "bool")
    if dtype is None:
        # A float32 result cannot be made of tensors with a larger dtype.
        return call.name not in _MIXING or (name != "" and _is_float32(call.node.output))
    if name == "other" and value.info is not None:
        # They are made float32 on the CPU (BinaryOp.cpp, binary_op_preprocess_other_arg).
        return dtype in _INTEGERS | {"float32"} or (dtype == "float64" and value.info.sizes == ())
    return dtype == "float32"


def _is_float32(value: Value) -> bool:
    return value.info is not None and value.info.dtype == "float32"


def _is_none(value: Value) -> bool:
    """Whether a value is known to be None."""
    return value.is_constant and value.constant is None


def first_tensor(call: Call) -> Value | None:
    """Returns the first tensor argument, or the first item of a list of tensors."""
    for argument, value in zip(call.schema.arguments, call.node.inputs, strict=False):
        if "Tensor" not in argument.type:
            continue
        producer = value.producer
        if argument.type != "Tensor" and producer is not None:
            return producer.inputs[0] if producer.inputs else None
        return value
    return None


def _sizes(call: Call) -> tuple[int | None, ...] | None:
    tensor = first_tensor(call)
    return None if tensor is None or tensor.info is None else tensor.info.sizes


def _check_rank(call: Call, kernel: Kernel) -> Iterator[str]:
    sizes = _sizes(call)
    if kernel.ranks and sizes is not None and len(sizes) not in kernel.ranks:
        wanted = " or ".join(map(str, kernel.ranks))
        yield f"it takes {wanted} dimensions, and not {len(sizes)}"


def _check_values(call: Call, kernel: Kernel) -> Iterator[str]:
    for name, allowed in kernel.only.items():
        found = call.static(name)
        values = [None if one == "None" else one for one in allowed]
        if not any(type(found) is type(one) and found == one for one in values):
            wanted = " or ".join(map(str, values))
            shown = "not constant" if found is UNKNOWN else f"{found!r:.40}"
            yield f"it takes {name}={wanted} only, and it is {shown}"


def _check_multiples(call: Call, kernel: Kernel) -> Iterator[str]:
    wanted = kernel.divisible
    if wanted is None:
        return
    sizes = _sizes(call)
    size = sizes[wanted.dim] if sizes is not None and wanted.dim < len(sizes) else None
    if size is None or size % wanted.by:
        shown = "is not known" if size is None else f"is {size}"
        yield f"size {wanted.dim} has to be a multiple of {wanted.by}, and {shown}"


def _check_bias(call: Call, kernel: Kernel) -> Iterator[str]:
    """`addmm` repeats a bias along rows, and no column of one."""
    del kernel
    if call.name != "aten::addmm":
        return
    bias, matrix = call.node.inputs[0].info, call.node.inputs[2].info
    sizes = None if bias is None else bias.sizes
    columns = matrix.sizes[-1] if matrix is not None and matrix.sizes else None
    if sizes is not None and len(sizes) > 1 and sizes[-1] == 1 != columns:
        yield "its argument self has one column, and the result may have more"


_CHECKS: tuple[Callable[[Call, Kernel], Iterator[str]], ...] = (
    _check_rank,
    _check_values,
    _check_multiples,
    _check_bias,
)
