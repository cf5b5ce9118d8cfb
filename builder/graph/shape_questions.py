"""What a rule about shapes is asked, and what rules share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from builder.graph.graph import MOST_DIMENSIONS, Node, TensorInfo, Value
from builder.graph.operands import Call, static
from builder.graph.shape_containers import Containers

Sizes: TypeAlias = tuple[int | None, ...]
_NESTED = re.compile("List|Dict|Tuple")
_MOST_NESTED = 5
"""Operators that make one list of sizes of another, in a chain."""

Answer: TypeAlias = TensorInfo | list[TensorInfo | None] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A call whose results are asked for."""

    call: Call
    containers: Containers
    """What lists of the graph hold."""

    def info(self, name: str) -> TensorInfo:
        """Returns what is known about a tensor argument."""
        value = self.call.value(name)
        return (value.info if value is not None else None) or TensorInfo()

    def first(self) -> TensorInfo:
        """Returns what is known about the first argument."""
        return self.call.node.inputs[0].info or TensorInfo()

    def content(self, name: str) -> TensorInfo:
        """Returns what is true of all tensors in a list."""
        value = self.call.value(name)
        return (None if value is None else content(value, self.containers)) or TensorInfo()

    def rank(self, name: str) -> int | None:
        """Returns how many dimensions a tensor argument has; None if it is not known."""
        sizes = self.info(name).sizes
        return None if sizes is None else len(sizes)

    def image(self, name: str, dims: int) -> Sizes | None:
        """Returns the sizes of the input of a convolution or pooling over `dims` dimensions.

        ATen takes images without a batch dimension too, so nothing is known of one whose number of
        dimensions is not known.
        """
        sizes = self.info(name).sizes
        return sizes if sizes is not None and len(sizes) in (dims + 1, dims + 2) else None

    def lengths(self, name: str) -> list[int | None] | None:
        """Returns a list of integers, None in the place of those that are not constant.

        None if not even its length is known.
        """
        value = self.call.value(name)
        return None if value is None else _lengths(value, self.containers, _MOST_NESTED)

    def dim(self, name: str, rank: int) -> int | None:
        """Returns a dimension that is known, counted from the front."""
        found = self.call.static(name)
        return found % rank if type(found) is int and rank and -rank <= found < rank else None


def _lengths(value: Value, containers: Containers, depth: int) -> list[int | None] | None:
    found: Sequence[object] | None = None
    if value.is_constant:
        items = static(value)
        found = items if isinstance(items, list) else None
    elif value.producer is None or not containers.is_constant(value):
        return None
    elif value.producer.operator == "prim::ListConstruct":
        found = [item.constant if item.is_constant else None for item in value.producer.inputs]
    elif depth:
        found = _derived_lengths(value.producer, containers, depth - 1)
    if found is None or len(found) > MOST_DIMENSIONS:
        return None
    return [item if type(item) is int else None for item in found]


def _derived_lengths(node: Node, containers: Containers, depth: int) -> list[int | None] | None:
    match node.operator:
        case "aten::size":
            info = node.inputs[0].info
            return None if info is None or info.sizes is None else list(info.sizes)
        case "aten::slice.t":
            whole = _lengths(node.inputs[0], containers, depth)
            bounds = [static(one) for one in node.inputs[1:]]
            if whole is None or not all(one is None or type(one) is int for one in bounds):
                return None
            start, end, step = (one if type(one) is int else None for one in bounds)
            # A step of 0 is an error, which the model shall raise when it runs.
            return None if step == 0 else whole[start:end:step]
        case "aten::add.t":
            parts = [_lengths(one, containers, depth) for one in node.inputs]
            return None if None in parts else [item for part in parts for item in part or ()]
        case "aten::copy.t" | "aten::list.t":
            return _lengths(node.inputs[0], containers, depth)
        case _:
            return None


def content(container: Value, containers: Containers) -> TensorInfo | None:
    """Returns what is true of all tensors that a list or dict may hold."""
    held = containers.held(container)
    if held is None:
        inserted = containers.inserted(container)
        if inserted is None or not containers.is_fresh(container):
            return None
        # A list that an operator made has the info that all its items share.
        return join_all([container.info, *(value.info for value in inserted)])
    # The infos of lists in a list are those of the items of each.
    if not held or any(_NESTED.search(value.type) for value in held):
        return None
    return join_all([value.info for value in held])


def join_all(infos: Sequence[TensorInfo | None]) -> TensorInfo | None:
    """Returns what is true of all of some tensors."""
    first, *rest = infos
    for info in rest:
        if first is None:
            return None
        first = join_infos(first, info)
    return first


def join_infos(first: TensorInfo | None, second: TensorInfo | None) -> TensorInfo | None:
    """Returns what is true of both of two tensors."""
    if first is None or second is None:
        return None
    sizes = None
    ours, theirs = first.sizes, second.sizes
    if ours is not None and theirs is not None and len(ours) == len(theirs):
        pairs = zip(ours, theirs, strict=True)
        sizes = tuple(a if a == b else None for a, b in pairs)
    return TensorInfo(first.dtype if first.dtype == second.dtype else None, sizes)


def ranked(rank: int | None) -> TensorInfo:
    """Returns the description of a tensor of which only the number of dimensions is known."""
    return TensorInfo(None, None if rank is None else (None,) * rank)


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
