"""Checks weights that are packed for XNNPACK, which its operators crash on or refuse otherwise."""

from __future__ import annotations

from builder.errors import Hint, ModelError, Run
from builder.graph.passes.prepack import CONVOLUTION, LINEAR, TRANSPOSED
from builder.graph.program import Program
from builder.lite.objects import CustomObject, List, Tensor, walk

_INTEGERS = {CONVOLUTION: 3, TRANSPOSED: 4, LINEAR: 0}
"""Class -> how many lists of two integers stand behind weight and bias in its state."""


def check_packed(program: Program) -> None:
    """Refuses packed weights that have another form than `__getstate__` gives them.

    Raises:
        ModelError: a state has another number of parts, or parts of other kinds.
    """
    constants = (
        node.attributes["value"]
        for graph in program.graphs.values()
        for _, node in graph.block.walk()
        if "value" in node.attributes
    )
    for item in walk([program.root, *constants]):
        if isinstance(item, CustomObject) and not _is_well_formed(item):
            raise ModelError(
                f"the packed weights of a {item.class_name} are damaged",
                hint=Hint("export the model again with ", Run("export", ("SOURCE",))),
            )


def _is_well_formed(packed: CustomObject) -> bool:
    lists, state = _INTEGERS.get(packed.class_name), packed.state
    if lists is None:
        return True
    rank = 4 if lists else 2
    numbers = 1 if lists else 0
    if not isinstance(state, tuple) or len(state) != 4 + lists + numbers:
        return False
    weight, bias, *middle, low, high = state
    return (
        isinstance(weight, Tensor)
        and weight.dtype == "float32"
        and len(weight.sizes) == rank
        and (bias is None or (isinstance(bias, Tensor) and len(bias.sizes) == 1))
        and all(map(_are_two, middle[:lists]))
        and all(type(groups) is int and groups > 0 for groups in middle[lists:])
        and _is_limit(low)
        and _is_limit(high)
    )


def _are_two(item: object) -> bool:
    """Whether it is a list of one integer for each dimension of an image, or one for both."""
    return (
        isinstance(item, List)
        and 1 <= len(item.items) <= 2
        and all(type(number) is int for number in item.items)
    )


def _is_limit(limit: object) -> bool:
    # NaN is equal to nothing.
    return limit is None or (type(limit) in (int, float) and limit == limit)
