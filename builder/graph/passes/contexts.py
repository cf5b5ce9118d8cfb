"""Emits operators that take packed weights, for the passes that prepack."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from builder.graph.graph import Node, Value
from builder.graph.rewriting import Rewriter
from builder.lite.objects import CustomObject, List, Tensor


class Contexts:
    """The packed weights of a graph: layers with the same weights and numbers share an object."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self._made: dict[Hashable, CustomObject] = {}

    def run(
        self, node: Node, operator: str, given: Sequence[Value], context: CustomObject
    ) -> list[Value]:
        """Emits `operator` in place of `node`.

        Args:
            node: the layer, whose outputs say what is known of the results.
            operator: takes `given`, and the packed weights as its last argument.
            given: the other arguments.
            context: the packed weights; its state is a tuple or a `List` of tensors, numbers,
                None, and lists of tensors or numbers.

        Returns:
            The outputs of the new node.
        """
        state = context.state.items if isinstance(context.state, List) else context.state
        assert isinstance(state, tuple | list)
        key = (context.class_name, *map(_state_key, state))
        packed = self._rewriter.constant(self._made.setdefault(key, context))
        return self._rewriter.emit_like(operator, [*given, packed], node)


def make_ints(values: Sequence[int]) -> List:
    """Returns a `List[int]` for the state of packed weights."""
    return List("List[int]", list(values))


def _state_key(item: object) -> Hashable:
    if isinstance(item, List):
        return tuple(map(_state_key, item.items))
    if isinstance(item, Tensor):
        return (item.storage, item.sizes, item.strides, item.offset)
    # True is equal to 1, and 0.0 to False.
    return (type(item), item)
