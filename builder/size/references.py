"""What refers to what in a linked library, as a value that travels with the runtime."""

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
"""Of the JSON; that of a library of 40 MB has 30 million."""
_UNPACKED_FREE, _UNPACKED_RATIO = 1 << 20, 16
"""The JSON may have so many bytes, and so many for each compressed one; graphs have 3 to 8."""
_STRING, _BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"'), re.compile(rb"[\[{]")
_MAX_BRACKETS = 16
"""The graph is one object of seven lists and an object: lists in lists take 20 times their text."""
_MAX_SIZE = 1 << 50
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
        raise ValueError("no reference graph: its lists differ in length")
    if not all(0 <= target < nodes for row in graph.targets for target in row):
        raise ValueError("no reference graph: it refers to nodes that it does not have")
    return graph


def _unpack(data: bytes) -> str:
    """Returns the text in gzip's data; ValueError when it is none, or much more than its bytes."""
    most = min(MAX_BYTES, _UNPACKED_FREE + _UNPACKED_RATIO * len(data))
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(data, most)
    except zlib.error as error:
        raise ValueError(f"no reference graph: {error}") from error
    if not unpacker.eof:
        why = "it is truncated" if len(text) < most else f"it unpacks to more than {most:,} bytes"
        raise ValueError(f"no reference graph: {why}")
    if len(_BRACKET.findall(_STRING.sub(b"", text))) > _MAX_BRACKETS:
        raise ValueError("no reference graph: its lists hold lists")
    return text.decode()


def _numbers(fields: Fields, key: str, least: int, end: int) -> tuple[int, ...]:
    values = fields.items(key)
    if not all(type(value) is int and least <= value < end for value in values):
        raise ValueError(f"no reference graph: {key!r} holds other things than its numbers")
    return tuple(values)  # type: ignore[arg-type]


def _parse_operators(fields: Fields, nodes: int) -> dict[str, int]:
    operators = fields.mapping("operators")
    for name, node in operators.items():
        if type(node) is not int or not 0 <= node < nodes:
            raise ValueError(f"no reference graph: {name:.80} has no node")
    return operators  # type: ignore[return-value]


def _split(steps: Sequence[int], degrees: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    ends = [0, *accumulate(degrees)]
    if ends[-1] != len(steps):
        raise ValueError("no reference graph: its lists differ in length")
    return tuple(
        tuple(accumulate(steps[start:end], initial=node))[1:]
        for node, (start, end) in enumerate(pairwise(ends))
    )
