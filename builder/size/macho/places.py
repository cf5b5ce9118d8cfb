"""Finds the places of the contents of Mach-O objects in a linked image, and their references.

Linkers for Mach-O do not keep relocations. But the objects have them, and the map of the linker
shows the address of each of their symbols.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from builder.formats.macho import INITIALISERS, MachFile, MachSymbol
from builder.formats.macho_objects import Pointer, find_section, read_pointers

STRINGS = 0x2
"""S_CSTRING_LITERALS."""
_LITERALS = frozenset({STRINGS, 0x3, 0x4, 0xE})
"""Types of sections whose parts linkers merge with equal parts (<mach-o/loader.h>)."""
_UNLINKED = frozenset({"__compact_unwind", "__eh_frame"})
"""Sections that linkers replace with tables."""
_ANONYMOUS = "ltmp"
"""Start of the names that the assembler gives to starts of sections; jump tables and constants have
no other names."""


class Pair(NamedTuple):
    """A reference between two addresses of the image."""

    place: int
    """Address of the reference."""
    target: int | str
    """Address that is referred to, or the name of a symbol of another library."""
    anonymous: bool = False
    """Whether the target has no symbol; then the target starts at the referenced address."""


class _Place(NamedTuple):
    start: int
    section: int
    address: int | None
    """Address in the image; None when the linker removed the symbol."""
    anonymous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedObject:
    """An object, with the addresses of its symbols in the image."""

    file: MachFile
    places: Sequence[_Place]
    """Places of its symbols, sorted by their addresses in the object."""
    elsewhere: Mapping[str, int]
    """Symbol of another object of the link -> address in the image."""
    texts: Mapping[bytes, int]
    """String literal -> address in the image."""

    def list_pairs(self) -> Iterator[Pair]:
        """Yields the references of everything that was kept; ValueError for damaged relocations."""
        for section in self.file.sections:
            # Initialisers are tied to their unit instead, and the tables are charged to their
            # functions.
            if section.name not in _UNLINKED and section.kind not in INITIALISERS:
                for pointer in read_pointers(self.file, section):
                    yield from self._follow(pointer)

    def list_initialisers(self) -> Iterator[int]:
        """Yields the addresses in the image of functions that run when it is loaded."""
        for section in self.file.sections:
            if section.kind in INITIALISERS:
                for pointer in read_pointers(self.file, section):
                    located = self._locate(pointer.address)
                    if located is not None:
                        yield located[0]

    def _follow(self, pointer: Pointer) -> Iterator[Pair]:
        source = self._locate(pointer.place)
        symbol = None if pointer.symbol is None else self.file.symbols[pointer.symbol]
        if source is None:
            return
        # An undefined symbol: another object of this link has it, or else another library.
        if symbol is not None and not symbol.section:
            yield Pair(source[0], self.elsewhere.get(symbol.name, symbol.name))
            return
        address = pointer.address
        # A reference into a named symbol is one to the whole of it, whatever is added to its
        # address.
        if symbol is not None and not symbol.name.startswith(_ANONYMOUS):
            address = symbol.address
        target = self._locate(address)
        if target is not None:
            yield Pair(source[0], *target)

    def _locate(self, address: int) -> tuple[int, bool] | None:
        """Returns the address in the image for one in the object, and if it has no symbol."""
        section = find_section(self.file.sections, address)
        if section is None:
            return None
        if section.kind in _LITERALS:
            # Equal literals are merged, so a literal is found by its text and not by its place.
            text = section.content[address - section.address :].partition(b"\0")[0]
            place_of_text = self.texts.get(text) if section.kind == STRINGS else None
            return None if place_of_text is None else (place_of_text, False)
        index = bisect_right(self.places, address, key=lambda place: place.start) - 1
        place = self.places[index]
        # The nearest symbol may stand in an earlier section, which says nothing about this one.
        if index < 0 or place.address is None or place.start < section.address:
            return None
        return place.address + address - place.start, place.anonymous


def place_object(
    file: MachFile,
    known: Mapping[str, int],
    elsewhere: Mapping[str, int],
    texts: Mapping[bytes, int],
) -> PlacedObject:
    """Returns `file` with the places of its symbols.

    Args:
        file: an object.
        known: symbol of the object that was kept -> address in the image.
        elsewhere: symbol of another object -> address in the image.
        texts: string literal -> address in the image.
    """
    places: dict[tuple[int, int], _Place] = {}
    # Symbols with names come last, so they replace anonymous ones at the same address.
    for symbol in sorted(_list_defined(file), key=_is_anonymous, reverse=True):
        address = known.get(symbol.name)
        key = (symbol.address, symbol.section)
        if address is not None or key not in places:
            places[key] = _Place(*key, address, _is_anonymous(symbol))
    ordered = tuple(places[key] for key in sorted(places))
    return PlacedObject(file=file, places=ordered, elsewhere=elsewhere, texts=texts)


def _list_defined(file: MachFile) -> Iterable[MachSymbol]:
    return (symbol for symbol in file.symbols if symbol.section)


def _is_anonymous(symbol: MachSymbol) -> bool:
    return symbol.name.startswith(_ANONYMOUS)
