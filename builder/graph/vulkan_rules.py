"""Whether a Vulkan kernel computes a call as ATen does on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from builder.core.vulkan import Kernel, Padded
from builder.graph.graph import Node, TensorInfo, Value
from builder.graph.operands import UNKNOWN, Call, static
from builder.graph.passes.prepack_vulkan import RUN_CONVOLUTION, RUN_TRANSPOSED
from builder.graph.shapes import merge_infos
from builder.lite.objects import CustomObject, List

_NOT_NEGATIVE = frozenset({"aten::relu", "aten::relu6", "aten::sigmoid", "aten::_add_relu"})
_KEEPING_SIGN = frozenset({"aten::max_pool2d", "aten::cat", "aten::dropout", "aten::contiguous"})
_INTEGERS = frozenset({"uint8", "int8", "int16", "int32", "int64"})
_MIXING = frozenset(
    {
        *("aten::add", "aten::cat", "aten::div", "aten::expand_as", "aten::floor_divide"),
        *("aten::masked_fill", "aten::mul", "aten::stack", "aten::sub", "aten::view_as"),
    }
)
"""Operators that take tensors of different dtypes; all others refuse them on the CPU too."""
_MOST_LOOKED_AT = 1000
"""Tensors that a search for the sign of one looks at."""


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


def _check_lists(call: Call, kernel: Kernel) -> Iterator[str]:
    for name in kernel.filled:
        found = call.static(name)
        if not isinstance(found, list) or not found:
            yield f"it takes a constant list {name} only, which is not empty"


def _check_dimensions(call: Call, kernel: Kernel) -> Iterator[str]:
    for name in kernel.from_front:
        found = call.static(name)
        if not isinstance(found, int) or found < 0:
            yield f"it takes a constant {name} only, which is not negative"


def _check_kept(call: Call, kernel: Kernel) -> Iterator[str]:
    sizes, dims = _sizes(call), call.static("dim")
    if not kernel.keeps or sizes is None or not isinstance(dims, list):
        return
    if call.static("keepdim") is not True and len(sizes) - len(dims) + 1 < kernel.keeps:
        yield "it needs keepdim=True to reduce so many dimensions"


def _check_multiples(call: Call, kernel: Kernel) -> Iterator[str]:
    wanted = kernel.divisible
    if wanted is None:
        return
    sizes = _sizes(call)
    size = sizes[wanted.dim] if sizes is not None and wanted.dim < len(sizes) else None
    if size is None or size % wanted.by:
        shown = "is not known" if size is None else f"is {size}"
        yield f"size {wanted.dim} has to be a multiple of {wanted.by}, and {shown}"


def _check_divisors(call: Call, kernel: Kernel) -> Iterator[str]:
    for name in kernel.divides:
        wanted, sizes = call.integers(name, 2), _sizes(call)
        image = (None, None) if sizes is None or len(sizes) < 2 else sizes[-2:]
        if wanted is None:
            yield f"its {name} is not constant"
            return
        pairs = zip(wanted, image, strict=True)
        if not all(out == 1 or (size and out > 0 and size % out == 0) for out, size in pairs):
            known = " and ".join("unknown" if one is None else str(one) for one in image)
            yield f"its {name} {list(wanted)} has to divide the sizes of the image ({known})"


def _check_padding(call: Call, kernel: Kernel) -> Iterator[str]:
    # With `ceil_mode`, windows may go beyond the image too.
    inside = _is_zero(call, "padding") and call.static("ceil_mode") is False
    if kernel.padded is None or inside:
        return
    if kernel.padded is Padded.COUNTED:
        if call.static("count_include_pad") is not True:
            yield "it takes count_include_pad=True only, where it pads"
    elif not _has_no_sign(call.node.inputs[0]):
        yield "it pads with 0 and not with -inf, and its input may be negative"


def _is_zero(call: Call, name: str) -> bool:
    found = call.integers(name, 2)
    return found is not None and not any(found)


def _has_no_sign(value: Value) -> bool:
    """Whether a tensor has no negative elements, as far as its producers tell."""
    waiting, seen = [value], {value}
    while waiting:
        node = waiting.pop().producer
        if node is None or len(seen) > _MOST_LOOKED_AT:
            return False
        if not _clears_sign(node):
            sources = _sources(node)
            if not sources:
                return False
            waiting += [source for source in sources if source not in seen]
            seen.update(sources)
    return True


def _clears_sign(node: Node) -> bool:
    name = _base(node)
    low: object = None
    if name in _NOT_NEGATIVE:
        return True
    if name in ("aten::hardtanh", "aten::clamp") and len(node.inputs) > 1:
        low = static(node.inputs[1])
    elif name in (RUN_CONVOLUTION, RUN_TRANSPOSED):
        low = _lowest(static(node.inputs[1]))
    return isinstance(low, int | float) and low >= 0


def _sources(node: Node) -> list[Value]:
    """Returns the tensors whose signs decide the sign of what `node` makes; none if unknown."""
    if node.operator == "prim::ListConstruct":
        return node.inputs
    return node.inputs[:1] if _base(node) in _KEEPING_SIGN else []


def _base(node: Node) -> str:
    return node.operator.partition(".")[0].removesuffix("_")


def _lowest(context: object) -> object:
    """Returns the smallest output of a convolution with packed weights; None for no limit."""
    if isinstance(context, CustomObject) and isinstance(context.state, List):
        return context.state.items[-2] if len(context.state.items) > 1 else None
    return None


_CHECKS: tuple[Callable[[Call, Kernel], Iterator[str]], ...] = (
    _check_rank,
    _check_values,
    _check_lists,
    _check_dimensions,
    _check_kept,
    _check_multiples,
    _check_divisors,
    _check_padding,
)
