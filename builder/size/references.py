"""What refers to what in a linked library, as a value that travels with the runtime."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise

SCHEMA = 1
_LONGEST_NAME = 160
"""Characters; names of template instances can have thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceGraph:
    """Symbols, and what else takes bytes or binds symbols together: units, operators, imports."""

    names: tuple[str, ...]
    """Per node; empty for data without a symbol."""
    sizes: tuple[int, ...]
    """Per node: bytes in the stripped file, unwinding data and dynamic relocations included."""
    units: tuple[str, ...]
    unit_of: tuple[int, ...]
    """Per node: index into `units`."""
    targets: tuple[tuple[int, ...], ...]
    """Per node: the nodes it refers to, sorted."""
    roots: tuple[int, ...]
    """What stays whatever operators go."""
    operators: Mapping[str, int]
    """Operator -> its node."""

    def reach(self, starts: Iterable[int], *, known: frozenset[int] = frozenset()) -> set[int]:
        """Returns `starts` and all they refer to, directly or not, without what is `known`."""
        waiting = [node for node in starts if node not in known]
        reached = set(waiting)
        while waiting:
            for target in self.targets[waiting.pop()]:
                if target not in reached and target not in known:
                    reached.add(target)
                    waiting.append(target)
        return reached

    def weigh(self, nodes: Iterable[int]) -> int:
        """Returns the bytes of `nodes`."""
        return sum(map(self.sizes.__getitem__, nodes))


def render_references(graph: ReferenceGraph) -> bytes:
    """Returns the graph as compressed JSON; equal graphs, equal bytes.

    Targets stand in one list, each node's first one counted from the node, the others from the
    one before, and `degrees` says how many each node has.
    """
    value = asdict(graph) | {
        "schema": SCHEMA,
        "names": [name[:_LONGEST_NAME] for name in graph.names],
        "degrees": [len(targets) for targets in graph.targets],
        "targets": [
            after - before
            for node, targets in enumerate(graph.targets)
            for before, after in pairwise((node, *targets))
        ],
    }
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return gzip.compress(text.encode(), 9, mtime=0)


def parse_references(data: bytes) -> ReferenceGraph:
    """Returns the graph of `render_references`.

    Raises:
        ValueError: `data` is something else, or of a newer schema.
    """
    try:
        value = json.loads(gzip.decompress(data))
        if value["schema"] > SCHEMA:
            raise ValueError(f"schema {value['schema']} is newer than {SCHEMA}")
        graph = ReferenceGraph(
            names=tuple(value["names"]),
            sizes=tuple(value["sizes"]),
            units=tuple(value["units"]),
            unit_of=tuple(value["unit_of"]),
            targets=tuple(_split(value["targets"], value["degrees"])),
            roots=tuple(value["roots"]),
            operators=dict(value["operators"]),
        )
        _refuse_strangers(graph)
    except (OSError, EOFError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"no reference graph: {error}") from error
    return graph


def _split(steps: list[int], degrees: list[int]) -> list[tuple[int, ...]]:
    ends = [0, *accumulate(degrees)]
    return [
        tuple(accumulate(steps[start:end], initial=node))[1:]
        for node, (start, end) in enumerate(pairwise(ends))
    ]


def _refuse_strangers(graph: ReferenceGraph) -> None:
    count = len(graph.sizes)
    nodes = [*graph.roots, *graph.operators.values(), *(t for row in graph.targets for t in row)]
    if not all(type(node) is int and 0 <= node < count for node in nodes):
        raise ValueError("no reference graph: it refers to nodes that it does not have")
    if {len(graph.names), len(graph.unit_of), len(graph.targets)} != {count}:
        raise ValueError("no reference graph: its lists differ in length")
    if not all(type(unit) is int and 0 <= unit < len(graph.units) for unit in graph.unit_of):
        raise ValueError("no reference graph: it refers to units that it does not have")
