"""What a rule about shapes is asked, and what rules share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from builder.graph.graph import Node, TensorInfo, Value
from builder.graph.operands import Call

Sizes: TypeAlias = tuple[int | None, ...]

_KEEPING = frozenset(
    f"aten::{name}"
    for name in (
        *("alpha_dropout", "batch_norm", "clamp", "contiguous", "detach", "dropout", "elu", "gelu"),
        *("feature_dropout", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "relu", "relu6"),
        *("sigmoid", "silu", "softmax", "tanh", "to", "abs", "neg", "exp", "log", "sqrt", "pow"),
        *("adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "adaptive_avg_pool1d", "avg_pool1d"),
        *("max_pool1d", "pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"),
        *("clamp_min", "clamp_max", "selu", "celu", "mish", "softplus", "erf", "clone", "flip"),
        *("slice", "transpose", "permute", "pixel_shuffle", "prelu"),
    )
)
"""Operators whose result has as many dimensions as their first argument."""
_COMBINING = frozenset(f"aten::{name}" for name in ("add", "div", "mul", "sub", "maximum"))
"""Operators of two tensors whose result has as many dimensions as one of them."""
_DROPPING = frozenset({"aten::squeeze", "aten::select"})
"""Operators that drop the dimension that their second argument is."""
_MOST_STEPS = 20

Answer: TypeAlias = TensorInfo | list[TensorInfo | None] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A call whose results are asked for."""

    call: Call
    batched: bool = True
    """Whether an image of unknown rank has a batch dimension."""
    unbatched: list[Call] = field(default_factory=list)
    """Calls whose image has no batch dimension, or may have lost it."""

    def info(self, name: str) -> TensorInfo:
        """Returns what is known about a tensor argument."""
        value = self.call.value(name)
        return (value.info if value is not None else None) or TensorInfo()

    def image(self, name: str, dims: int) -> Sizes | None:
        """Returns the sizes of the input of a convolution or pooling over `dims` dimensions."""
        sizes = self.info(name).sizes
        if sizes is None and self.batched:
            return (None,) * (dims + 2)
        if sizes is None and may_be_squeezed(self.call.value(name), dims):
            self.unbatched.append(self.call)
        if sizes is not None and len(sizes) == dims + 1:
            self.unbatched.append(self.call)
            return sizes
        return sizes if sizes is not None and len(sizes) == dims + 2 else None

    def dim(self, name: str, rank: int) -> int | None:
        """Returns a dimension that is known, counted from the front."""
        found = self.call.static(name)
        return found % rank if type(found) is int and rank and -rank <= found < rank else None


def may_be_squeezed(image: Value | None, dims: int) -> bool:
    """Whether the batch of an image over `dims` dimensions may have been dropped on the way to it.

    The number of dimensions of the image itself is not known.
    """
    steps = iter(range(_MOST_STEPS))
    return _may_lack_batch(image, dims, steps)


def _may_lack_batch(image: Value | None, dims: int, steps: Iterator[int]) -> bool:
    while (producer := None if image is None else image.producer) and producer.inputs:
        # So many steps without a layer are rare, and the safe answer costs only time.
        if next(steps, None) is None:
            return True
        name, _, overload = producer.operator.partition(".")
        name = name.removesuffix("_")
        if name == "aten::squeeze" and overload != "dim":
            return True
        if name in _DROPPING:
            return _drops_batch(producer, dims)
        if name in _COMBINING:
            # The one with more dimensions decides.
            tensors = [value for value in producer.inputs[:2] if not value.is_constant]
            return bool(tensors) and all(_may_lack_batch(one, dims, steps) for one in tensors)
        if name not in _KEEPING:
            return False
        image = producer.inputs[0]
    return False


def _drops_batch(node: Node, dims: int) -> bool:
    """Whether a node that drops one dimension may leave an image without its batch."""
    before, *rest = node.inputs
    if before.info is not None and before.info.sizes is not None:
        # With a dimension more, one is dropped for sure: the layer would not take it.
        return len(before.info.sizes) in (dims + 1, dims + 2)
    # If the rank is not known, a batch is taken to be the first dimension.
    dim = rest[0].constant if rest and rest[0].is_constant else None
    return type(dim) is not int or dim in (0, -dims - 2)


def broadcast(first: Sizes, second: Sizes) -> Sizes | None:
    """Returns the sizes of two tensors that are computed together; None if they do not fit."""
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
