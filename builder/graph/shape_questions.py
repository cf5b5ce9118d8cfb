"""What a rule about shapes is asked, and what rules share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from builder.graph.graph import TensorInfo, Value
from builder.graph.operands import Call

Sizes: TypeAlias = tuple[int | None, ...]

_KEEPING = frozenset(
    f"aten::{name}"
    for name in (
        *("alpha_dropout", "batch_norm", "clamp", "contiguous", "detach", "dropout", "elu", "gelu"),
        *("feature_dropout", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "relu", "relu6"),
        *("sigmoid", "silu", "softmax", "tanh", "to"),
    )
)
"""Operators whose result has as many dimensions as their first argument."""
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
    """Whether `squeeze` may have dropped the batch of an image over `dims` dimensions.

    The number of dimensions of the image itself is not known.
    """
    for _ in range(_MOST_STEPS):
        producer = None if image is None else image.producer
        if producer is None or not producer.inputs:
            return False
        name, _, overload = producer.operator.partition(".")
        name = name.removesuffix("_")
        if name == "aten::squeeze" and overload != "dim":
            return True
        if name == "aten::squeeze":
            before = producer.inputs[0].info
            rank = None if before is None or before.sizes is None else len(before.sizes)
            # With a dimension more, one is dropped for sure: the layer would not take it.
            return rank in (dims + 1, dims + 2)
        if name not in _KEEPING:
            return False
        image = producer.inputs[0]
    return False


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
