"""The bytes of a library cut into spans: one per symbol, or per piece that the linker placed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Area(NamedTuple):
    """A section that holds symbols."""

    start: int
    """Address."""
    end: int
    in_file: bool
    """False for variables that start as zero: they take no bytes of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Spans in the order of their addresses."""

    starts: tuple[int, ...]
    """Addresses; ends of sections are among them, as spans without bytes."""
    sizes: tuple[int, ...]
    """Bytes in memory, padding before the next one included."""
    weights: tuple[int, ...]
    """Bytes in the file."""

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


def cut_spans(areas: Iterable[Area], marks: Iterable[int]) -> Spans:
    """Returns the spans of `areas`, each cut at those of the addresses `marks` that it holds."""
    ordered = sorted(set(marks))
    starts: list[int] = []
    sizes: list[int] = []
    weights: list[int] = []
    for start, end, in_file in sorted(areas):
        inside = ordered[bisect_right(ordered, start) : bisect_right(ordered, end - 1)]
        own = [b - a for a, b in zip([start, *inside], [*inside, end], strict=True)]
        starts += [start, *inside, end]
        sizes += [*own, 0]
        weights += [*(own if in_file else [0] * len(own)), 0]
    return Spans(starts=tuple(starts), sizes=tuple(sizes), weights=tuple(weights))
