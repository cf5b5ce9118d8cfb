"""A reference graph in the making: its nodes, and what the library's tables add to their sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from builder.core.elf import Elf
from builder.core.operators import Operator
from builder.size.measuring import LINKER_PART
from builder.size.references import ReferenceGraph
from builder.size.spans import Spans
from builder.size.tables import read_frames, read_relocated

_DYNAMIC_RELOCATION = 24
_INDEX_ENTRY = 8
"""Bytes per function in `.eh_frame_hdr`."""


@dataclass(kw_only=True)
class Draft:
    """A graph in the making; the spans come first, other nodes behind them."""

    spans: Spans
    sizes: list[int]
    names: list[str]
    units: dict[str, int] = field(default_factory=dict)
    unit_of: list[int] = field(default_factory=list)
    targets: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, name: str, unit: str = LINKER_PART, size: int = 0) -> int:
        """Returns a new node."""
        self.names.append(name)
        self.sizes.append(size)
        self.unit_of.append(self.units.setdefault(unit, len(self.units)))
        return len(self.sizes) - 1

    def finish(self, roots: Iterable[int], operators: Mapping[Operator, int]) -> ReferenceGraph:
        """Returns the graph."""
        return ReferenceGraph(
            names=tuple(self.names),
            sizes=tuple(self.sizes),
            units=tuple(self.units),
            unit_of=tuple(self.unit_of),
            targets=tuple(tuple(sorted(self.targets[n])) for n in range(len(self.sizes))),
            roots=tuple(sorted(roots)),
            operators={str(operator): operators[operator] for operator in sorted(operators)},
        )


def draft_spans(spans: Spans, names: Mapping[int, str], unit_names: Mapping[str, str]) -> Draft:
    """Returns a draft with a node per span and no edges.

    Args:
        spans: of the library.
        names: address -> symbol as a person would write it.
        unit_names: owner in the linker's map -> unit.
    """
    draft = Draft(
        spans=spans, sizes=list(spans.weights), names=[names.get(s, "") for s in spans.starts]
    )
    for span in range(len(spans)):
        piece = spans.pieces.get(span)
        unit = unit_names[piece.owner] if piece else LINKER_PART
        draft.unit_of.append(draft.units.setdefault(unit, len(draft.units)))
    return draft


def charge_tables(draft: Draft, elf: Elf) -> None:
    """Adds to functions what tables of `elf` hold for them, and draws edges to their handlers."""
    for frame in read_frames(elf):
        span = draft.spans.find(frame.function)
        if span is None:
            continue
        draft.sizes[span] += frame.size + _INDEX_ENTRY
        table = draft.spans.find(frame.exceptions or 0)
        if table is not None:
            draft.targets[span].add(table)
    for place in read_relocated(elf):
        span = draft.spans.find(place)
        if span is not None:
            draft.sizes[span] += _DYNAMIC_RELOCATION
