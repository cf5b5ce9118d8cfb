"""The reference graph of a linked library, which is stored in the package of the runtime."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise

from builder.core.manifest import Fields, parse_json

SCHEMA = 1
MAX_BYTES = 256 << 20
"""Largest JSON in bytes; the JSON for a library of 40 MB has 30 million bytes."""
_UNPACKED_FREE, _UNPACKED_RATIO = 1 << 20, 16
"""The JSON may have 1 MiB, and 16 more bytes for each compressed byte; real graphs have 3 to 8."""
_STRING, _BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"'), re.compile(rb"[\[{]")
_MAX_BRACKETS = 16
"""Brackets in the JSON, which is an object of lists; nested lists would take too much memory."""
_MAX_SIZE = 1 << 50
"""Largest size of a node in bytes."""
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
    fields = Fields(parse_json(_unpack(data), most=MAX_BYTES), "the reference graph")
    fields.schema(SCHEMA)
    sizes = _numbers(fields, "sizes", -_MAX_SIZE, _MAX_SIZE)
    nodes, units = len(sizes), fields.texts("units")
    graph = ReferenceGraph(
        names=fields.texts("names"),
        sizes=sizes,
        units=units,
        unit_of=_numbers(fields, "unit_of", 0, len(units)),
        targets=_split(
            _numbers(fields, "targets", -nodes, nodes + 1),
            _numbers(fields, "degrees", 0, nodes + 1),
        ),
        roots=_numbers(fields, "roots", 0, nodes),
        operators=_parse_operators(fields, nodes),
    )
    if {len(graph.names), len(graph.unit_of), len(graph.targets)} != {nodes}:
        raise ValueError("not a reference graph: its lists differ in length")
    if not all(0 <= target < nodes for row in graph.targets for target in row):
        raise ValueError("not a reference graph: it refers to nodes that do not exist")
    return graph


def _unpack(data: bytes) -> str:
    """Returns the text in gzip data; ValueError when it is damaged or unpacks to too much."""
    most = min(MAX_BYTES, _UNPACKED_FREE + _UNPACKED_RATIO * len(data))
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(data, most)
    except zlib.error as error:
        raise ValueError(f"not a reference graph: {error}") from error
    if not unpacker.eof:
        why = "it is truncated" if len(text) < most else f"it unpacks to more than {most:,} bytes"
        raise ValueError(f"not a reference graph: {why}")
    # Before json.loads, which would create a list for each bracket.
    if len(_BRACKET.findall(_STRING.sub(b"", text))) > _MAX_BRACKETS:
        raise ValueError("not a reference graph: its lists contain lists")
    return text.decode()


def _numbers(fields: Fields, key: str, least: int, end: int) -> tuple[int, ...]:
    values = fields.items(key)
    if not all(type(value) is int and least <= value < end for value in values):
        raise ValueError(f"not a reference graph: {key!r} is not a list of valid numbers")
    return tuple(values)  # type: ignore[arg-type]


def _parse_operators(fields: Fields, nodes: int) -> dict[str, int]:
    operators = fields.mapping("operators")
    for name, node in operators.items():
        if type(node) is not int or not 0 <= node < nodes:
            raise ValueError(f"not a reference graph: {name:.80} has no node")
    return operators  # type: ignore[return-value]


def _split(steps: Sequence[int], degrees: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    ends = [0, *accumulate(degrees)]
    if ends[-1] != len(steps):
        raise ValueError("not a reference graph: its lists differ in length")
    return tuple(
        tuple(accumulate(steps[start:end], initial=node))[1:]
        for node, (start, end) in enumerate(pairwise(ends))
    )
