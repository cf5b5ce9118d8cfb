"""The reference graph of a linked library, which is stored in the package of the runtime."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Annotated

from msgspec import Meta

from builder.core.typed import Size, parse_json

SCHEMA = 1
MAX_BYTES = 256 << 20
"""Largest JSON in bytes; the JSON for a library of 40 MB has 30 million bytes."""
_UNPACKED_FREE, _UNPACKED_RATIO = 1 << 20, 16
"""The JSON may have 1 MiB, and 16 more bytes for each compressed byte; real graphs have 3 to 8."""
_Bytes = Annotated[int, Meta(ge=-(1 << 50), lt=1 << 50)]
_Number = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]
"""The number of a node or a unit, or the difference between two."""
_LONGEST_NAME = 160
"""Characters of a name that are kept; names of C++ templates can have thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceGraph:
    """A graph of references, whose nodes are symbols, imports, units and operators."""

    names: tuple[str, ...]
    """Name of each node; empty for data without a symbol."""
    sizes: tuple[int, ...]
    """Bytes of each node in the stripped file, with its unwinding data and dynamic relocations."""
    units: tuple[str, ...]
    """Names of the units and parts of the library."""
    unit_of: tuple[int, ...]
    """For each node, the index of its unit in `units`."""
    targets: tuple[tuple[int, ...], ...]
    """For each node, the sorted numbers of the nodes that it refers to."""
    roots: tuple[int, ...]
    """Nodes that are needed even without any operator."""
    operators: Mapping[str, int]
    """Operator -> number of its node."""

    def reach(self, starts: Iterable[int], *, known: frozenset[int] = frozenset()) -> set[int]:
        """Returns `starts` and all nodes that they reach, without the nodes in `known`."""
        # No recursion: chains of references are longer than Python's stack.
        waiting = [node for node in starts if node not in known]
        reached = set(waiting)
        while waiting:
            for target in self.targets[waiting.pop()]:
                if target not in reached and target not in known:
                    reached.add(target)
                    waiting.append(target)
        return reached

    def weigh(self, nodes: Iterable[int]) -> int:
        """Returns the sum of the bytes of `nodes`."""
        return sum(map(self.sizes.__getitem__, nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _GraphFile:
    """The JSON of a graph; see `render_references`."""

    names: tuple[str, ...]
    sizes: tuple[_Bytes, ...]
    units: tuple[str, ...]
    unit_of: tuple[_Number, ...]
    degrees: tuple[Size, ...]
    targets: tuple[_Number, ...]
    roots: tuple[_Number, ...]
    operators: Mapping[str, _Number]


def render_references(graph: ReferenceGraph) -> bytes:
    """Returns the graph as compressed JSON; equal graphs give equal bytes.

    All targets are in one list, and `degrees` has the number of targets of each node. The first
    target of a node is stored as the difference from the node, and each other one as the difference
    from the one before it: small numbers compress well.
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
    # Without a time in the header, equal graphs give equal bytes.
    return gzip.compress(text.encode(), 9, mtime=0)


def parse_references(data: bytes) -> ReferenceGraph:
    """Returns the graph in the bytes from `render_references`.

    Raises:
        ValueError: `data` is not a reference graph, or has a newer schema.
    """
    where = "not a reference graph"
    file = parse_json(_unpack(data), _GraphFile, where, newest=SCHEMA, most=MAX_BYTES)
    nodes = range(len(file.sizes))
    graph = ReferenceGraph(
        names=file.names,
        sizes=file.sizes,
        units=file.units,
        unit_of=file.unit_of,
        targets=_split(file.targets, file.degrees),
        roots=file.roots,
        operators=file.operators,
    )
    if {len(graph.names), len(graph.unit_of), len(graph.targets)} != {len(nodes)}:
        raise ValueError(f"{where}: its lists differ in length")
    # Numbers of a file are indices of lists here, so each one is checked once, at the border.
    if not _are_within(nodes, *graph.targets, graph.roots, graph.operators.values()):
        raise ValueError(f"{where}: it refers to nodes that do not exist")
    if not _are_within(range(len(graph.units)), graph.unit_of):
        raise ValueError(f"{where}: it refers to units that do not exist")
    return graph


def _are_within(known: range, *numbers: Iterable[int]) -> bool:
    return all(number in known for some in numbers for number in some)


def _unpack(data: bytes) -> bytes:
    """Returns the JSON in gzip data; ValueError when it is damaged or unpacks to too much."""
    most = min(MAX_BYTES, _UNPACKED_FREE + _UNPACKED_RATIO * len(data))
    # 16 + MAX_WBITS makes zlib read the header and trailer of gzip (zlib's manual, inflateInit2).
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(data, most)
    except zlib.error as error:
        raise ValueError(f"not a reference graph: {error}") from error
    # Either the data ended early, or the limit stopped the unpacker.
    if not unpacker.eof:
        why = "it is truncated" if len(text) < most else f"it unpacks to more than {most:,} bytes"
        raise ValueError(f"not a reference graph: {why}")
    return text


def _split(steps: Sequence[int], degrees: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    ends = [0, *accumulate(degrees)]
    if ends[-1] != len(steps):
        raise ValueError("not a reference graph: its lists differ in length")
    return tuple(
        tuple(accumulate(steps[start:end], initial=node))[1:]
        for node, (start, end) in enumerate(pairwise(ends))
    )
