"""Counts entries of tables for functions and data: unwinding data, dynamic relocations."""

from __future__ import annotations

from collections import Counter

from builder.formats.eh_frame import Frame, parse_frames
from builder.formats.elf import RELA, Elf
from builder.size.spans import Spans

_DYNAMIC_RELOCATION = 24
"""Bytes of an Elf64_Rela entry."""
_INDEX_ENTRY = 8
"""Bytes per function in `.eh_frame_hdr`."""


def charge_tables(spans: Spans, elf: Elf) -> tuple[dict[int, int], tuple[tuple[int, int], ...]]:
    """Returns span -> bytes of its table entries, and pairs of span and exception table."""
    extra: Counter[int] = Counter()
    ties: list[tuple[int, int]] = []
    for frame in _read_frames(elf):
        span = spans.find(frame.function)
        if span is None:
            continue
        # Every function with an entry in .eh_frame has one in the sorted index too.
        extra[span] += frame.size + _INDEX_ENTRY
        # The personality routine finds this table by the unwinding entry, without a relocation of
        # the function.
        table = spans.find(frame.exceptions or 0)
        if table is not None:
            ties.append((span, table))
    for place in _read_relocated(elf):
        span = spans.find(place)
        if span is not None:
            extra[span] += _DYNAMIC_RELOCATION
    return dict(extra), tuple(ties)


def _read_frames(elf: Elf) -> tuple[Frame, ...]:
    """Returns the unwinding entries of all functions."""
    return tuple(
        frame
        for section in elf.sections
        if section.name == ".eh_frame"
        for frame in parse_frames(bytes(elf.content(section)), section.address)
    )


def _read_relocated(elf: Elf) -> tuple[int, ...]:
    """Returns the addresses that the loader fills in; each one has an entry in `.rela.dyn`."""
    return tuple(
        relocation.place
        for section in elf.sections
        if section.name == ".rela.dyn" and section.kind == RELA
        for relocation in elf.relocations(section)
    )
