"""Arguments whose number of dimensions decides what a method runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import IF, LOOP, SET_ATTR, Graph, Node, Value
from builder.graph.guards import RAISE
from builder.graph.operands import CALLS, CONSTRUCTS, UNKNOWN, find_call, static
from builder.graph.passes.fold_shapes import CONVOLUTIONS, OF_LAYER

_ASKING: Final = frozenset(
    f"aten::{name}"
    for name in ("argwhere", "dim", "nonzero", "numel", "size", "stride", "_shape_as_tensor")
)
"""Operators whose result tells how many dimensions their argument has, or may tell it."""
_SIZES: Final = frozenset({"aten::size", "aten::stride"})
"""Those that list a number for each dimension."""
_COMPARING: Final = frozenset({"aten::__is__", "aten::__isnot__"})
_PARTS: Final = frozenset({"aten::__getitem__.t", "prim::ListUnpack"})
"""Nodes that take a number out of a list, and fail where the list is too short."""


def find_deciding(graph: Graph, schemas: Schemas) -> tuple[set[Value], dict[Node, set[Value]]]:
    """Returns the arguments on which a number of dimensions depends that decides what runs.

    Everything counts that the condition of a branch or loop depends on: numbers that are computed,
    kept in a list or attribute, or written into a tensor. One size alone tells no number of
    dimensions. A question about what a convolution made decides nothing: its image has a batch, or
    the call fails. What a method decides that is called, and not inlined, is not known.

    The second result has the branches that do nothing but fail or go on, by which layers check
    their images, each with the arguments that it depends on so.
    """
    nodes = [node for _, node in graph.block.walk()]
    if CALLS.isdisjoint(node.operator for node in nodes) and not any(one.blocks for one in nodes):
        return set(), {}
    walk = _Walk(graph, schemas, nodes)
    deciding = [
        value
        for node in nodes
        if node.blocks and not _only_raises(node)
        for value in node.inputs[: 2 if node.operator == LOOP else 1]
    ]
    called = {value for node in nodes if node.operator in CALLS for value in node.inputs[1:]}
    checks = {node: walk.arguments(node.inputs) for node in nodes if _only_raises(node)}
    return walk.arguments(deciding, called), {
        node: found for node, found in checks.items() if found
    }


class _Walk:
    """What a value depends on."""

    def __init__(self, graph: Graph, schemas: Schemas, nodes: list[Node]) -> None:
        self._given = set(graph.block.inputs[1:])
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        self._loops = {
            value: node for node in nodes if node.operator == LOOP for value in _inside(node)
        }
        """Inputs of the blocks of loops -> the loop."""
        self._writers: dict[object, list[Node]] = {}
        """Memory -> nodes that may write into it."""
        for node in nodes:
            for value in self._find_written(node):
                self._writers.setdefault(self._aliases.memory(value), []).append(node)

    def arguments(self, values: Iterable[Value], asked: Iterable[Value] = ()) -> set[Value]:
        """Returns the arguments on whose number of dimensions `values` may depend.

        And those on which the number of dimensions of the tensors `asked` may depend.
        """
        found = set(asked)
        for node in self.producers(values, numbers=True):
            found.update(self.asked(node))
        reached = found.union(*(self.sources(node) for node in self.producers(found)))
        return self._given & reached

    def producers(self, values: Iterable[Value], *, numbers: bool = False) -> Iterator[Node]:
        """Yields each node that one of `values` may depend on.

        With `numbers` also those in front of convolutions. What a convolution made has a number of
        dimensions that decides nothing.
        """
        seen: set[Node] = set()
        written: set[object] = set()
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            memory = self._aliases.memory(value)
            makers = [value.producer, self._loops.get(value)]
            if memory not in written:
                written.add(memory)
                makers += self._writers.get(memory, ())
            for node in makers:
                if node is None or node in seen:
                    continue
                seen.add(node)
                if numbers or not node.operator.startswith(CONVOLUTIONS):
                    yield node
                    waiting += self.sources(node)

    def sources(self, node: Node) -> list[Value]:
        """Returns what the results of a node are made of."""
        if (node.operator in _PARTS or _takes_last(node)) and (
            tensor := self._tensor_of(node)
        ) is not None:
            return [tensor]
        if node.operator in _COMPARING and any(_is_none(value) for value in node.inputs):
            return [one for value in node.inputs for one in self._find_choices(value)]
        return node.inputs + [value for block in node.blocks for value in block.outputs]

    def asked(self, node: Node) -> list[Value]:
        """Returns the tensors of whose number of dimensions a node may tell something."""
        if node.operator in CONSTRUCTS or OF_LAYER in node.attributes:
            return []
        if find_call(node, self._schemas) is None:
            return node.inputs
        # With a second argument, `aten::size.int` gives one size alone.
        name = node.operator.partition(".")[0]
        return node.inputs if name in _ASKING and len(node.inputs) == 1 else []

    def _find_choices(self, value: Value) -> list[Value]:
        """Returns on what it depends whether a value is None, which a list never is."""
        found: list[Value] = []
        waiting, seen = [value], set[Value]()
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            node = one.producer
            if node is not None and node.operator == IF:
                found.append(node.inputs[0])
                waiting += [block.outputs[node.outputs.index(one)] for block in node.blocks]
            elif node is not None and node.operator == "prim::unchecked_cast":
                waiting += node.inputs
            elif not self._is_list(one):
                found.append(one)
        return found

    def _is_list(self, value: Value) -> bool:
        call = None if value.producer is None else find_call(value.producer, self._schemas)
        return call is not None and call.schema.results[:1] in (("int[]",), ("t[]",))

    def _tensor_of(self, part: Node) -> Value | None:
        """Returns the tensor one or some of whose sizes a node takes; None for another node."""
        if not all(map(_is_static, part.inputs[1:])):
            return None
        maker = part.inputs[0].producer
        while maker is not None and maker.operator == "aten::slice.t":
            if not all(map(_is_static, maker.inputs[1:])):
                return None
            maker = maker.inputs[0].producer
        if maker is None or maker.operator not in _SIZES or len(maker.inputs) != 1:
            return None
        return None if self._aliases.is_written(maker.output) else maker.inputs[0]

    def _find_written(self, node: Node) -> list[Value]:
        if node.operator == SET_ATTR:
            return node.inputs[1:]
        if node.operator in CONSTRUCTS - CALLS:
            return []
        call = find_call(node, self._schemas)
        if call is None:
            return node.inputs
        pairs = zip(node.inputs, call.schema.arguments, strict=False)
        return [value for value, argument in pairs if argument.mutable]


def _is_static(value: Value) -> bool:
    return static(value) is not UNKNOWN


def _takes_last(node: Node) -> bool:
    """Whether a node takes the last one or two sizes, which each image has."""
    if node.operator != "aten::slice.t" or len(node.inputs) != 4:
        return False
    start, end, step = map(static, node.inputs[1:])
    return start in (-1, -2) and end is None and step == 1


def _is_none(value: Value) -> bool:
    return value.is_constant and value.constant is None


def _inside(loop: Node) -> list[Value]:
    return [value for block in loop.blocks for value in block.inputs]


def _only_raises(node: Node) -> bool:
    """Whether a condition does nothing but let the method fail or go on."""
    return node.operator == IF and any(
        one.operator == RAISE for block in node.blocks for one in block.nodes
    )
