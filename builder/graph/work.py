"""How much work the passes have with a program."""

from __future__ import annotations

from typing import Final

from builder.graph.graph import CONSTANT, Graph, Node
from builder.graph.program import Program
from builder.lite.objects import parts_of, walk

MOST_WORK: Final = 100_000
"""The passes need about 50 microseconds for each unit. MobileNetV2 has some thousands."""
_LOOKED_AT = 256
"""Items of a constant list that passes look at whenever they meet it, as `thaw` does."""
_ITEMS_OF_A_LIST, _ITEMS_OF_A_GRAPH = 16, 64
"""Items that take as long as one input of a node: of a list that is looked at, and of all the
constants of a graph, which most passes walk through once."""


def is_too_large(program: Program) -> bool:
    """Whether the passes would need minutes; a small file can describe a program of any size.

    The time that it takes to find out is linear in the program.
    """
    sizes: dict[int, int] = {}
    left = MOST_WORK
    for graph in program.graphs.values():
        left -= _measure(graph, sizes)
        if left < 0:
            return True
    return False


def _measure(graph: Graph, sizes: dict[int, int]) -> int:
    """Returns the work with one graph; `sizes` has those of constants that are known by `id`."""
    work = 0
    held: set[int] = set()
    for _, node in graph.block.walk():
        work += 1 + len(node.inputs)
        if node.operator == CONSTANT:
            work += _size_of_list(node) // _ITEMS_OF_A_LIST
            value = node.attributes["value"]
            if id(value) not in sizes:
                sizes[id(value)] = sum(1 for _ in walk([value]))
            held.add(id(value))
    return work + sum(sizes[one] for one in held) // _ITEMS_OF_A_GRAPH


def _size_of_list(node: Node) -> int:
    return min(_LOOKED_AT, len(parts_of(node.attributes["value"])))
