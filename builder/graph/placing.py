"""Decides which values stay on the stack, and which registers the others take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builder.graph.graph import CONSTANT, Block, Graph, Node, Value

MOST_REGISTERS = 65_535
"""The most registers that builder's runtime gives a function (cmake/runtime/verifier/code.cpp).

Those above are not used again, which bounds the work for one."""


def count_uses(graph: Graph, inputs: Callable[[Node], Sequence[Value]]) -> dict[Value, int]:
    """Returns how often each value is used that is not constant.

    Args:
        graph: the function.
        inputs: returns the inputs of a node that its call needs.
    """
    counts: dict[Value, int] = {}
    for block in iterate_blocks(graph):
        for user in (*map(inputs, block.nodes), block.outputs):
            for value in user:
                if not value.is_constant:
                    counts[value] = counts.get(value, 0) + 1
    return counts


def iterate_blocks(graph: Graph) -> Iterator[Block]:
    """Yields all blocks, outer ones before inner ones."""
    waiting = [graph.block]
    while waiting:
        block = waiting.pop()
        yield block
        for node in block.nodes:
            waiting.extend(node.blocks)


def find_inline(
    graph: Graph, inputs: Callable[[Node], Sequence[Value]], counts: dict[Value, int]
) -> set[Node]:
    """Returns the nodes whose only output stays on the stack until its only use.

    The order of nodes must not change. So nodes and uses are followed backward together, as
    upstream does (torch/csrc/jit/runtime/interpreter/can_emit_inline.h).
    """
    inline: set[Node] = set()
    for block in iterate_blocks(graph):
        nodes = [node for node in block.nodes if node.operator != CONSTANT]
        for user, values in reversed([*((node, inputs(node)) for node in nodes), (None, ())]):
            if user is None:
                values = block.outputs
            elif user in inline:
                continue
            else:
                nodes.pop()
            # Values that are still to be looked at, the last one first.
            waiting = list(values)
            while waiting and nodes:
                value = waiting.pop()
                last = nodes[-1]
                if value.producer is last and len(last.outputs) == 1 and counts[value] == 1:
                    inline.add(nodes.pop())
                    waiting.extend(inputs(last))
    return inline


@dataclass(slots=True)
class Registers:
    """Hands out registers, the lowest free one first."""

    size: int = 0
    """How many there are."""
    free: int = 0
    """Bit r is set if register r exists and is free."""

    def take(self, count: int) -> int:
        """Returns the first of `count` registers in a row, which are taken from now on."""
        runs = self.free if count <= MOST_REGISTERS else 0
        for _ in range(count - 1):
            if not runs:
                break
            runs &= runs >> 1
        first = (runs & -runs).bit_length() - 1 if runs else self.size + 1
        if not runs:
            # Free registers at the end begin the row.
            while self.free >> (first - 1) & 1:
                first -= 1
            self.size = first + count - 1
        self.free &= ~(((1 << count) - 1) << first)
        return first

    def release(self, register: int) -> None:
        """Makes a register free."""
        if register <= MOST_REGISTERS:
            self.free |= 1 << register
