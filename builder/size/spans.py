"""The bytes of a library cut into spans: one per symbol, or per piece that the linker placed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.core.elf import (
    ALLOC,
    FINI_ARRAY,
    INIT_ARRAY,
    NOBITS,
    PROGBITS,
    SECTION_SYMBOL,
    THREAD_DATA,
    THREAD_LOCAL,
    Elf,
    Section,
)
from builder.size.linkmap import InputSection

_TABLES = (".eh_frame", ".eh_frame_hdr", ".got", ".got.plt", ".plt", ".interp")
"""Sections made of entries that belong to what they describe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Spans in the order of their addresses."""

    starts: tuple[int, ...]
    """Addresses; ends of sections are among them, as spans without bytes."""
    sizes: tuple[int, ...]
    """Bytes in memory, padding before the next one included."""
    weights: tuple[int, ...]
    """Bytes in the file: none for variables that start as zero."""
    pieces: Mapping[int, InputSection]
    """Span -> the input section it lies in."""

    def __len__(self) -> int:
        return len(self.starts)

    def find(self, address: int) -> int | None:
        """Returns the span that holds `address`; None outside of code and data."""
        index = bisect_right(self.starts, address) - 1
        return index if index >= 0 and self.sizes[index] else None

    def covered(self, address: int, size: int) -> range:
        """Returns the spans that a symbol of `size` bytes at `address` lies in."""
        first = self.find(address)
        if first is None:
            return range(0)
        last = self.find(address + max(size, 1) - 1)
        return range(first, (first if last is None else last) + 1)


def cut_spans(elf: Elf, pieces: Iterable[InputSection]) -> Spans:
    """Returns the spans of a linked library with its symbols still in it."""
    holding = [section for section in elf.sections if _holds_symbols(section)]
    indices = {i for i, section in enumerate(elf.sections) if _holds_symbols(section)}
    zeros = [range(s.address, s.end) for s in holding if s.kind == NOBITS]
    placed = sorted((p for p in pieces if p.size), key=lambda piece: piece.address)
    marks = {piece.address for piece in placed}
    marks |= {
        symbol.address
        for symbol in elf.symbols
        if symbol.section in indices and symbol.kind not in {SECTION_SYMBOL, THREAD_LOCAL}
    }
    starts, sizes = _cut(sorted(holding, key=lambda s: s.address), sorted(marks))
    addresses = [piece.address for piece in placed]
    owners = {}
    for index, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        place = bisect_right(addresses, start) - 1
        if size and place >= 0 and start < placed[place].address + placed[place].size:
            owners[index] = placed[place]
    return Spans(
        starts=tuple(starts),
        sizes=tuple(sizes),
        weights=tuple(
            0 if any(start in zero for zero in zeros) else size
            for start, size in zip(starts, sizes, strict=True)
        ),
        pieces=owners,
    )


def _cut(sections: list[Section], marks: list[int]) -> tuple[list[int], list[int]]:
    starts: list[int] = []
    sizes: list[int] = []
    for section in sections:
        inside = marks[bisect_right(marks, section.address) : _below(marks, section.end)]
        begins = [section.address, *inside]
        starts += [*begins, section.end]
        sizes += [b - a for a, b in zip(begins, [*inside, section.end], strict=True)]
        sizes.append(0)
    return starts, sizes


def _below(marks: list[int], end: int) -> int:
    return bisect_right(marks, end - 1)


def _holds_symbols(section: Section) -> bool:
    return (
        section.kind in {PROGBITS, NOBITS, INIT_ARRAY, FINI_ARRAY}
        and section.flags & (ALLOC | THREAD_DATA) == ALLOC
        and section.size > 0
        and section.name not in _TABLES
    )
