"""What lists, tuples and dicts hold, as far as the graph that makes them tells."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import find_call

_UNPACKING = frozenset(
    {
        "prim::DictIndex",
        "prim::ListUnpack",
        "prim::TupleIndex",
        "prim::TupleSlice",
        "prim::TupleUnpack",
    }
)
_INSERTING = {
    "aten::append": 1,
    "aten::insert": 2,
    "aten::_set_item": 2,
}
"""Operators that put something into their first argument, and which argument it is."""
_TAKING = frozenset(
    f"aten::{name}" for name in ("clear", "Delete", "pop", "popitem", "remove", "reverse", "sort")
)
"""Operators that take something out of their first argument, or change the order in it."""
_MOST_WORK = 50_000
"""Items times uses of one container, which may be asked for at each use."""


class Containers:
    """The containers that a graph makes and of which it has no second name.

    A container that an attribute, another container, a branch or a loop hands on may be changed
    out of sight, so nothing is known about it.
    """

    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self._root = graph.block
        self._schemas = schemas
        self._uses = graph.uses()
        self._inserted: dict[Value, list[Value] | None] = {}
        self._changed: set[Value] = set()
        """Containers out of which something is taken."""

    def items(self, container: Value) -> Sequence[Value] | None:
        """Returns the items of a list or tuple that nothing changes; None if they are not known."""
        producer = container.producer
        if producer is None:
            return None
        if producer.operator == "prim::TupleConstruct":
            return producer.inputs
        if producer.operator != "prim::ListConstruct" or not self.is_constant(container):
            return None
        return producer.inputs

    def is_constant(self, container: Value) -> bool:
        """Whether a container stays as it was made."""
        return self.inserted(container) == [] and container not in self._changed

    def held(self, container: Value) -> Sequence[Value] | None:
        """Returns all that a list or dict may hold at any time; None if it is not known."""
        producer = container.producer
        if producer is None:
            return None
        match producer.operator:
            case "prim::ListConstruct":
                first = producer.inputs
            case "prim::DictConstruct":
                first = producer.inputs[1::2]
            case "aten::dict":
                first = []
            case _:
                return None
        inserted = self.inserted(container)
        if inserted is None:
            return None
        found = [*first, *inserted]
        return found if len(found) * len(self._uses.get(container, ())) <= _MOST_WORK else None

    def inserted(self, container: Value) -> list[Value] | None:
        """Returns what is put into a container after it was made; None if that is not known."""
        if container not in self._inserted:
            self._inserted[container] = self._find_inserted(container)
        return self._inserted[container]

    def is_fresh(self, container: Value) -> bool:
        """Whether an operator made a list of tensors, of which it keeps no reference."""
        producer = container.producer
        call = None if producer is None else find_call(producer, self._schemas)
        return call is not None and call.schema.results == ("Tensor[]",)

    def _find_inserted(self, container: Value) -> list[Value] | None:
        found: list[Value] = []
        for user, index in self._uses.get(container, ()):
            if isinstance(user, Block) or user.operator == "prim::TupleConstruct":
                if not self._is_returned(user):
                    return None
                continue
            name = user.operator.partition(".")[0]
            if index == 0 and name in _INSERTING and len(user.inputs) > _INSERTING[name]:
                # The result of `append` is the list itself.
                if any(self._uses.get(output) for output in user.outputs):
                    return None
                found.append(user.inputs[_INSERTING[name]])
            elif index == 0 and name in _TAKING:
                self._changed.add(container)
            elif not self._only_reads(user, index):
                return None
        return found

    def _is_returned(self, user: Node | Block) -> bool:
        """Whether nothing runs any more once `user` has the container."""
        if isinstance(user, Block):
            return user is self._root
        return all(one is self._root for one, _ in self._uses.get(user.outputs[0], ()))

    def _only_reads(self, user: Node, index: int) -> bool:
        if user.operator in _UNPACKING:
            return index == 0
        call = find_call(user, self._schemas)
        if call is None or index >= len(call.schema.arguments):
            return False
        argument = call.schema.arguments[index]
        # An argument of any type may be kept as an item of another container.
        return not argument.mutable and argument.type.endswith(("]", ")", "]?"))
