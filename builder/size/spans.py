"""Cuts the bytes of a library into spans: one per symbol, or per piece that the linker placed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Area(NamedTuple):
    """A section that contains symbols."""

    start: int
    """Address of the first byte."""
    end: int
    """Address behind the last byte."""
    in_file: bool
    """Whether it has bytes in the file; variables that start as zero have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Spans in the order of their addresses."""

    starts: tuple[int, ...]
    """Address of each span; the end of each section is a span without bytes."""
    sizes: tuple[int, ...]
    """Bytes of each span in memory, with the padding before the next span."""
    weights: tuple[int, ...]
    """Bytes of each span in the file."""

    def __len__(self) -> int:
        return len(self.starts)

    def find(self, address: int) -> int | None:
        """Returns the number of the span that contains `address`; None outside of code and data."""
        index = bisect_right(self.starts, address) - 1
        # The empty span at the end of a section catches addresses behind it.
        return index if index >= 0 and self.sizes[index] else None

    def covered(self, address: int, size: int) -> range:
        """Returns the numbers of the spans that a symbol of `size` bytes at `address` covers."""
        first = self.find(address)
        if first is None:
            return range(0)
        # A symbol without a size still covers the byte at its address.
        last = self.find(address + max(size, 1) - 1)
        return range(first, (first if last is None else last) + 1)


def cut_spans(areas: Iterable[Area], marks: Iterable[int]) -> Spans:
    """Returns the spans of `areas`, which are cut at all addresses in `marks`."""
    ordered = sorted(set(marks))
    starts: list[int] = []
    sizes: list[int] = []
    weights: list[int] = []
    for start, end, in_file in sorted(areas):
        inside = ordered[bisect_right(ordered, start) : bisect_right(ordered, end - 1)]
        lengths = [b - a for a, b in zip([start, *inside], [*inside, end], strict=True)]
        # Each area ends with an empty span, so no address between two sections is in one of them.
        starts += [start, *inside, end]
        sizes += [*lengths, 0]
        weights += [*(lengths if in_file else [0] * len(lengths)), 0]
    return Spans(starts=tuple(starts), sizes=tuple(sizes), weights=tuple(weights))
