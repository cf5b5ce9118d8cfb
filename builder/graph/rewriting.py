"""Walks over a graph and replaces nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from builder.graph.graph import CONSTANT, Block, Graph, Node, TensorInfo, Value
from builder.graph.types import info_of, type_of

MOST_NESTED: Final = 100
"""Blocks inside of blocks that the passes follow."""
REFUSED: Final = (ArithmeticError, IndexError, MemoryError, TypeError, ValueError)
"""What Python and NumPy raise for sizes and states that the operator itself would refuse too."""


class Rewriter:
    """One walk over a graph, in the order in which its nodes run.

    The rule sees each node after the nodes inside of it, with all earlier replacements made in
    its inputs. It returns the values that take the place of the node's outputs, or None to keep
    the node. What it emits stands in front of the node. A node with arguments that its operator
    would refuse is kept.
    """

    __slots__ = ("_block", "_homes", "_new", "_replaced", "_uses", "changed", "graph")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.changed = 0
        self._replaced: dict[Value, Value] = {}
        self._uses = {value: len(users) for value, users in graph.uses().items()}
        self._new: list[Node] = []
        self._block = graph.block
        self._homes: dict[Node, Block] | None = None
        """Node -> its block, once somebody asks."""

    def run(self, rule: Callable[[Node], Sequence[Value] | None]) -> int:
        """Returns how many nodes were replaced."""
        self._walk(self.graph.block, rule)
        return self.changed

    def uses(self, value: Value) -> int:
        """Returns how often a value is used, in nodes and as the output of a block."""
        return self._uses.get(value, 0)

    def home(self, node: Node) -> Block | None:
        """Returns the block that a node stands in; None for one that the graph no longer has."""
        if self._homes is None:
            self._homes = {node: block for block, node in self.graph.block.walk()}
            self._homes |= dict.fromkeys(self._new, self._block)
        return self._homes.get(node)

    def emit(
        self,
        operator: str,
        inputs: Sequence[Value],
        *,
        type: str = "Tensor",  # noqa: A002
        info: TensorInfo | None = None,
        attributes: dict[str, object] | None = None,
        like: Node | None = None,
    ) -> Value:
        """Adds a node with one output in front of the node that the rule sees.

        `like` is the node whose place in the model's source the new one has.
        """
        output = Value(type=type, info=info)
        self._add(operator, inputs, [output], attributes or {}, like)
        return output

    def emit_like(self, operator: str, inputs: Sequence[Value], like: Node) -> list[Value]:
        """The same for an operator with the outputs of the node `like`."""
        outputs = [Value(type=one.type, info=one.info) for one in like.outputs]
        self._add(operator, inputs, outputs, {}, like)
        return outputs

    def _add(
        self,
        operator: str,
        inputs: Sequence[Value],
        outputs: list[Value],
        attributes: dict[str, object],
        like: Node | None,
    ) -> None:
        handle = -1 if like is None else like.debug_handle
        node = Node(operator, list(inputs), outputs, attributes, debug_handle=handle)
        self._new.append(node)
        if self._homes is not None:
            self._homes[node] = self._block
        for value in inputs:
            self._uses[value] = self.uses(value) + 1

    def constant(self, constant: object) -> Value:
        """Adds a constant in front of the node that the rule sees."""
        return self.emit(
            CONSTANT,
            (),
            type=type_of(constant),
            info=info_of(constant),
            attributes={"value": constant},
        )

    def splice(self, nodes: Sequence[Node]) -> None:
        """Moves nodes that the walk has passed in front of the node that the rule sees."""
        self._new.extend(nodes)

    def current(self, value: Value) -> Value:
        """Returns what has taken the place of `value`."""
        # A replacement may be replaced in its turn.
        while value in self._replaced:
            value = self._replaced[value]
        return value

    def _walk(self, block: Block, rule: Callable[[Node], Sequence[Value] | None]) -> None:
        outer, self._new = self._new, []
        around, self._block = self._block, block
        for node in block.nodes:
            node.inputs[:] = [self.current(value) for value in node.inputs]
            for inner in node.blocks:
                self._walk(inner, rule)
            values = self._apply(rule, node)
            if values is None:
                self._new.append(node)
            else:
                self._replace(node, values)
        block.outputs[:] = [self.current(value) for value in block.outputs]
        block.nodes = self._new
        self._new, self._block = outer, around

    def _apply(
        self, rule: Callable[[Node], Sequence[Value] | None], node: Node
    ) -> Sequence[Value] | None:
        emitted = len(self._new)
        try:
            return rule(node)
        except REFUSED:
            # A rule may have emitted nodes before it failed. They would stay in the graph without a
            # user.
            del self._new[emitted:]
            return None

    def _replace(self, node: Node, values: Sequence[Value]) -> None:
        self.changed += 1
        for value in node.inputs:
            self._uses[value] = self.uses(value) - 1
        for old, new in zip(node.outputs, values, strict=True):
            self._replaced[old] = new
            # The users of the old value are not visited here. They find the new one when the walk
            # comes to them.
            self._uses[new] = self.uses(new) + self._uses.pop(old, 0)
            # A shape that was found for the old value holds for what takes its place.
            if new.info is None:
                new.info = old.info


def nesting(graph: Graph) -> int:
    """Returns how deep blocks stand inside of blocks; 0 for a graph without branches or loops."""
    deepest = 0
    waiting = [(graph.block, 0)]
    while waiting:
        block, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((inner, depth + 1) for node in block.nodes for inner in node.blocks)
    return deepest
