"""A linked library as prices see it, whatever the format of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from builder.core.operators import Operator
from builder.size.spans import Spans

_LONGEST_TEXT = 4096


class Reference(NamedTuple):
    """One place that the linker filled in with an address."""

    place: int
    """Address that it fills in."""
    source: int
    """Span that holds the place."""
    target: int
    """Span; numbers behind the last span are imports, in their order."""
    address: int
    """Address referred to; 0 for an import."""


class Block(NamedTuple):
    """A section that is loaded."""

    start: int
    """Address."""
    size: int
    """Bytes in memory."""
    content: bytes | memoryview
    """Empty where the file holds none."""
    is_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What is in a library, and what refers to what in it."""

    spans: Spans
    names: tuple[str, ...]
    """Of each span: its symbol; empty for data without one."""
    units: tuple[str, ...]
    """Of each span: the unit, or the part of the library, that it comes from."""
    blocks: tuple[Block, ...]
    imports: Mapping[str, int]
    """Symbol of another library -> bytes that it takes here."""
    references: tuple[Reference, ...]
    registrations: tuple[tuple[int, Operator], ...]
    """Spans of functions that register one operator each."""
    extra: Mapping[int, int]
    """Span -> bytes that tables of the library hold for it."""
    ties: tuple[tuple[int, int], ...]
    """Spans, and others that they bring along without a reference."""
    bound: Mapping[str, tuple[int, ...]]
    """Unit -> spans that come with it though nothing refers to them, such as initialisers."""
    definitions: Mapping[str, tuple[int, ...]]
    """Unit of `bound` -> spans that it alone defines: who needs one gets what is bound too."""
    lists: frozenset[int]
    """Spans of the library's own list of operators."""
    starts: frozenset[int]
    """Spans where the loader and the library's users come in."""
    filled_in: int
    """Bytes in the file of an address in data that the loader fills in."""

    def is_code(self, address: int) -> bool:
        """Says whether instructions stand there."""
        block = self._block(address)
        return block is not None and block.is_code

    def text_at(self, address: int) -> str:
        """Returns the string that begins there; empty where no data is."""
        block = self._block(address)
        if block is None or block.is_code or not address:
            return ""
        start = address - block.start
        text = bytes(block.content[start : start + _LONGEST_TEXT])
        return text.partition(b"\0")[0].decode(errors="replace")

    def _block(self, address: int) -> Block | None:
        return next((b for b in self.blocks if b.start <= address < b.start + b.size), None)
