"""Checks packed weights, which the operators that take them crash on or refuse otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.errors import Hint, ModelError, Run
from builder.graph.passes import prepack_vulkan as vulkan
from builder.graph.passes.prepack import CONVOLUTION, LINEAR, TRANSPOSED
from builder.graph.program import Program
from builder.lite.objects import CustomObject, List, Tensor, walk

_INTEGERS = {CONVOLUTION: 3, TRANSPOSED: 4, LINEAR: 0}
"""Class -> how many lists of two integers stand behind weight and bias in its state."""


_VULKAN = {
    vulkan.CONVOLUTION: (
        *("tensor", "bias", "list", "list", "list", "bool", "bool", "list", "count"),
        *("limit", "limit"),
    ),
    vulkan.CONVOLUTION_1D: ("tensor", "bias", "list", "list", "list", "count"),
    vulkan.LINEAR: ("tensor", "bias"),
    vulkan.LAYER_NORM: ("tensor", "tensor", "number"),
    vulkan.BATCH_NORM: ("tensor", "tensor", "tensor", "tensor", "number"),
    vulkan.LSTM: ("tensors", "bool", "count", "number", "bool", "bool", "bool"),
    vulkan.GRU: ("tensors", "bool", "count", "number", "bool", "bool", "bool"),
}
"""Class -> what each part of its state, a list, is (`pack` in ATen/native/vulkan/ops)."""


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
    if packed.class_name in _VULKAN:
        parts = state.items if isinstance(state, List) else []
        kinds = _VULKAN[packed.class_name]
        return len(parts) == len(kinds) and all(
            _IS[kind](part) for kind, part in zip(kinds, parts, strict=True)
        )
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


def _is_float32(item: object) -> bool:
    return isinstance(item, Tensor) and item.dtype == "float32" and all(item.sizes)


_IS: Mapping[str, Callable[[object], bool]] = {
    "bias": lambda item: item is None or (_is_float32(item) and len(item.sizes) == 1),  # type: ignore[attr-defined]
    "bool": lambda item: isinstance(item, bool),
    "count": lambda item: type(item) is int and item > 0,
    "limit": _is_limit,
    "list": _are_two,
    "number": lambda item: isinstance(item, float),
    "tensor": _is_float32,
    "tensors": lambda item: isinstance(item, List) and all(map(_is_float32, item.items)),
}
"""Whether a part of a state is what it has to be."""
