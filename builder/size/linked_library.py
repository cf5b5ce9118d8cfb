"""A linked library in the form that prices need, for all file formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from builder.core.operators import Operator
from builder.size.spans import Spans

_LONGEST_TEXT = 4096
"""Bytes of a string that are read."""


class Reference(NamedTuple):
    """One place where the linker wrote an address."""

    place: int
    """Address of the place."""
    source: int
    """Number of the span that contains the place."""
    target: int
    """Number of the span that is referred to; the imports are numbered after the last span."""
    address: int
    """The address that is referred to; 0 for an import."""


class Block(NamedTuple):
    """A section that is loaded into memory."""

    start: int
    """Address of the first byte."""
    size: int
    """Bytes in memory."""
    content: bytes | memoryview
    """The bytes of the section; empty when the file has none."""
    is_code: bool
    """Whether the section contains instructions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The contents of a library, and the references between them."""

    spans: Spans
    names: tuple[str, ...]
    """The symbol of each span; empty for data without a symbol."""
    units: tuple[str, ...]
    """The unit, or the part of the library, that each span comes from."""
    blocks: tuple[Block, ...]
    imports: Mapping[str, int]
    """Symbol of another library -> bytes that the import of it takes in this library."""
    references: tuple[Reference, ...]
    registrations: tuple[tuple[int, Operator], ...]
    """Spans of functions that register one operator each, with that operator."""
    extra: Mapping[int, int]
    """Span -> bytes of the entries for it in tables of the library."""
    ties: tuple[tuple[int, int], ...]
    """Pairs of spans: the first one needs the second one, without a reference to it."""
    bound: Mapping[str, tuple[int, ...]]
    """Unit -> spans that are linked with it without a reference to them, such as initialisers."""
    definitions: Mapping[str, tuple[int, ...]]
    """Unit in `bound` -> spans that only it defines; a reference to one brings the bound spans."""
    lists: frozenset[int]
    """Spans of the library's own list of operators."""
    starts: frozenset[int]
    """Spans that the loader or users of the library can call: the entry points."""
    filled_in: int
    """Bytes in the file for each address in data that the loader fills in."""

    def is_code(self, address: int) -> bool:
        """Returns whether there are instructions at `address`."""
        block = self._block(address)
        return block is not None and block.is_code

    def text_at(self, address: int) -> str:
        """Returns the string that starts at `address`; empty when there is no data."""
        block = self._block(address)
        # Bytes of instructions could look like a string, and address 0 stands for an import.
        if block is None or block.is_code or not address:
            return ""
        start = address - block.start
        text = bytes(block.content[start : start + _LONGEST_TEXT])
        return text.partition(b"\0")[0].decode(errors="replace")

    def _block(self, address: int) -> Block | None:
        return next((b for b in self.blocks if b.start <= address < b.start + b.size), None)
