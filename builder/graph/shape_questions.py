"""What a rule about shapes is asked, and what rules share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from builder.graph.graph import TensorInfo
from builder.graph.operands import Call

Sizes: TypeAlias = tuple[int | None, ...]

Answer: TypeAlias = TensorInfo | list[TensorInfo | None] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A call whose results are asked for."""

    call: Call
    batched: bool = True
    """Whether an image of unknown rank has a batch dimension."""
    unbatched: list[Call] = field(default_factory=list)
    """Calls whose image is known to have no batch dimension."""

    def info(self, name: str) -> TensorInfo:
        """Returns what is known about a tensor argument."""
        value = self.call.value(name)
        return (value.info if value is not None else None) or TensorInfo()

    def image(self, name: str, dims: int) -> Sizes | None:
        """Returns the sizes of the input of a convolution or pooling over `dims` dimensions."""
        sizes = self.info(name).sizes
        if sizes is None and self.batched:
            return (None,) * (dims + 2)
        if sizes is not None and len(sizes) == dims + 1:
            self.unbatched.append(self.call)
            return sizes
        return sizes if sizes is not None and len(sizes) == dims + 2 else None

    def dim(self, name: str, rank: int) -> int | None:
        """Returns a dimension that is known, counted from the front."""
        found = self.call.static(name)
        return found % rank if type(found) is int and rank and -rank <= found < rank else None


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
