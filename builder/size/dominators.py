"""Computes the dominators of a graph: the nodes that every path from the entry points passes.

The algorithm is from Lengauer, Tarjan: A Fast Algorithm for Finding Dominators in a Flowgraph
(1979), with path compression alone. Its time is bounded by (nodes + references) * log(nodes), also
for a graph that somebody made to be costly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_ENTRY = -1
"""A node before all entry points; it dominates what two of them reach on separate paths."""


@dataclass(frozen=True)
class Dominators:
    """The dominator tree of the nodes that can be reached."""

    parent: Mapping[int, int]
    """Node -> its immediate dominator, in an order in which a node follows its dominator.

    The value is -1 where no single node keeps the node: it is an entry point, or there are paths to
    it that have nothing in common.
    """

    def chain(self, node: int, most: int | None = None) -> tuple[int, ...]:
        """Returns the nodes on every path to `node`, from the entry points on, without itself.

        Args:
            node: a node that can be reached.
            most: how many to return, those that are nearest to `node`; all when it is None.
        """
        above: list[int] = []
        while len(above) != most and (node := self.parent[node]) != _ENTRY:
            above.append(node)
        return tuple(reversed(above))

    def retained(self, sizes: Sequence[int]) -> dict[int, int]:
        """Returns node -> bytes that could not be reached without it, its own included."""
        total = {node: sizes[node] for node in self.parent}
        for node in reversed(tuple(self.parent)):
            above = self.parent[node]
            if above != _ENTRY:
                total[above] += total[node]
        return total


def find_dominators(targets: Sequence[Iterable[int]], starts: Iterable[int]) -> Dominators:
    """Returns the dominator tree of all that `starts` reach.

    Args:
        targets: for each node, the nodes that it refers to.
        starts: the entry points.
    """
    # From here on, a vertex is the place of a node in the order of a depth-first search.
    nodes, tree = _search(targets, starts)
    vertex = {node: place for place, node in enumerate(nodes)}
    sources = _reverse(targets, starts, nodes, vertex)
    semi, forest = list(range(len(nodes))), _Forest(len(nodes))
    dominator = [0] * len(nodes)
    waiting: list[list[int]] = [[] for _ in nodes]
    for one in range(len(nodes) - 1, 0, -1):
        semi[one] = min(semi[forest.find_least(source, semi)] for source in sources[one])
        waiting[semi[one]].append(one)
        forest.link(one, tree[one])
        for other in waiting[tree[one]]:
            least = forest.find_least(other, semi)
            dominator[other] = least if semi[least] < semi[other] else tree[one]
        waiting[tree[one]] = []
    for one in range(1, len(nodes)):
        if dominator[one] != semi[one]:
            dominator[one] = dominator[dominator[one]]
    return Dominators({nodes[one]: nodes[dominator[one]] for one in range(1, len(nodes))})


def _search(targets: Sequence[Iterable[int]], starts: Iterable[int]) -> tuple[list[int], list[int]]:
    """Returns the nodes in the order of a depth-first search, and the parent of each vertex."""
    nodes, tree, seen = [_ENTRY], [0], {_ENTRY}
    # No recursion: chains of references are longer than Python's stack.
    waiting: list[tuple[int, Iterator[int]]] = [(0, iter(tuple(starts)))]
    while waiting:
        place, rest = waiting[-1]
        node = next((target for target in rest if target not in seen), None)
        if node is None:
            waiting.pop()
            continue
        seen.add(node)
        nodes.append(node)
        tree.append(place)
        waiting.append((len(nodes) - 1, iter(targets[node])))
    return nodes, tree


def _reverse(
    targets: Sequence[Iterable[int]],
    starts: Iterable[int],
    nodes: Sequence[int],
    vertex: Mapping[int, int],
) -> list[list[int]]:
    sources: list[list[int]] = [[] for _ in nodes]
    for start in starts:
        sources[vertex[start]].append(0)
    for place, node in enumerate(nodes[1:], 1):
        for target in targets[node]:
            sources[vertex[target]].append(place)
    return sources


class _Forest:
    """The part of the search tree that was visited, with paths that get shorter (LINK, EVAL)."""

    def __init__(self, count: int) -> None:
        self.above = [-1] * count
        self.least = list(range(count))

    def link(self, one: int, above: int) -> None:
        self.above[one] = above

    def find_least(self, one: int, semi: Sequence[int]) -> int:
        """Returns the vertex with the least semidominator on the path from `one` up to its root."""
        above, least = self.above, self.least
        if above[one] < 0:
            return one
        path = []
        while above[above[one]] >= 0:
            path.append(one)
            one = above[one]
        first = path[0] if path else one
        for one in reversed(path):
            if semi[least[above[one]]] < semi[least[one]]:
                least[one] = least[above[one]]
            above[one] = above[above[one]]
        return least[first]
