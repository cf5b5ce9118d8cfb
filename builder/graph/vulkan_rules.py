"""Whether a Vulkan kernel computes a call as ATen does on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from builder.core.vulkan import Kernel, Padded
from builder.graph.graph import Node, Value
from builder.graph.operands import UNKNOWN, Call, static
from builder.graph.passes.prepack_vulkan import RUN_CONVOLUTION, RUN_TRANSPOSED
from builder.lite.objects import CustomObject, List

_NOT_NEGATIVE = frozenset({"aten::relu", "aten::relu6", "aten::sigmoid", "aten::_add_relu"})
_KEEPING_SIGN = frozenset({"aten::max_pool2d", "aten::cat", "aten::dropout", "aten::contiguous"})
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
