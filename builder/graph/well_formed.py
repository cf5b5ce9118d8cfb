"""Checks that graphs are well formed: a pass that leaves one otherwise has a bug."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, Value
from builder.graph.program import Program

_Steps = Generator["_Steps", None, None]


class MalformedGraphError(AssertionError):
    """A graph breaks a rule of `builder.graph.graph`: a bug of builder, not of a model."""


def check_program(program: Program) -> None:
    """Raises MalformedGraphError if a graph of `program` is not well formed."""
    for name, graph in program.graphs.items():
        if name != graph.name:
            raise MalformedGraphError(f"the graph of {name} is called {graph.name}")
        check_graph(graph)


def check_graph(graph: Graph) -> None:
    """Raises MalformedGraphError if `graph` is not well formed.

    A well-formed graph defines each value once, and before its uses: in the same block, or in one
    around it. Nodes with blocks have the form that `builder.graph.graph` describes.
    """
    _Checker(graph).check()


@dataclass(slots=True)
class _Checker:
    graph: Graph
    defined: set[Value] = field(default_factory=set)
    """Values that may be used now."""
    ever: set[object] = field(default_factory=set)
    """Values, nodes and blocks that were met."""

    def check(self) -> None:
        block = self.graph.block
        self._require(len(block.inputs) == len(self.graph.arguments), "it has other arguments")
        self._require(len(block.outputs) == len(self.graph.results), "it has other results")
        # Each generator yields what stands inside of it, so that nesting is no recursion.
        waiting = [self._check_block(block)]
        while waiting:
            try:
                waiting.append(next(waiting[-1]))
            except StopIteration:
                waiting.pop()

    def _check_block(self, block: Block) -> _Steps:
        self._meet(block, "a block")
        outer = set(block.inputs)
        self._define(block.inputs, None)
        for node in block.nodes:
            self._meet(node, f"a node {node.operator}")
            self._use(node.inputs, node.operator)
            self._check_form(node)
            for inner in node.blocks:
                yield self._check_block(inner)
            # The outputs come after the blocks, which may not use what their own node makes.
            self._define(node.outputs, node)
            outer.update(node.outputs)
        self._use(block.outputs, "the end of a block")
        # What a block defines is unknown behind it: other code may not have run it.
        self.defined -= outer

    def _check_form(self, node: Node) -> None:
        inputs, outputs = len(node.inputs), len(node.outputs)
        forms = [(len(block.inputs), len(block.outputs)) for block in node.blocks]
        holds = not forms
        if node.operator == IF:
            holds = inputs == 1 and forms == [(0, outputs)] * 2
        elif node.operator == LOOP:
            holds = inputs == outputs + 2 and forms == [(outputs + 1, outputs + 1)]
        elif node.operator == CONSTANT:
            holds = not inputs and outputs == 1 and "value" in node.attributes and not forms
        self._require(holds, f"a {node.operator} has another form")

    def _use(self, values: Iterable[Value], user: str) -> None:
        for value in values:
            self._require(value in self.defined, f"{user} uses {value.name!r} before it is made")

    def _define(self, values: Iterable[Value], producer: Node | None) -> None:
        for value in values:
            self._meet(value, f"a value {value.name!r}")
            self._require(value.producer is producer, f"{value.name!r} names another producer")
            self.defined.add(value)

    def _meet(self, item: object, what: str) -> None:
        self._require(item not in self.ever, f"{what} stands in two places")
        self.ever.add(item)

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise MalformedGraphError(f"{self.graph.name}: {what}")
