"""Where a linker put what objects for Apple's platforms hold, and what refers to what there.

Linkers for Mach-O keep no relocations. But the objects have them, and the linker's map says where
each of their symbols went.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from builder.formats.macho import INITIALISERS, MachFile, MachSymbol
from builder.formats.macho_objects import Pointer, find_section, read_pointers

STRINGS = 0x2
_LITERALS = frozenset({STRINGS, 0x3, 0x4, 0xE})
"""Section types whose parts linkers merge with equal ones."""
_UNLINKED = frozenset({"__compact_unwind", "__eh_frame"})
"""Sections that linkers make tables of."""
_ANONYMOUS = "ltmp"
"""How the assembler calls the start of a section: jump tables and constants have no other name."""


class Pair(NamedTuple):
    """A reference, by addresses in the image."""

    place: int
    target: int | str
    """Name where another library has it."""
    anonymous: bool = False
    """Whether what it refers to has no symbol: then it begins where it is referred to."""


class _Place(NamedTuple):
    start: int
    section: int
    address: int | None
    """In the image; None where the linker dropped it."""
    anonymous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedObject:
    """An object, and where its symbols are in the image."""

    file: MachFile
    places: Sequence[_Place]
    """By their addresses in the object."""
    elsewhere: Mapping[str, int]
    """Symbol of another object of the link -> address in the image."""
    texts: Mapping[bytes, int]
    """String -> address in the image."""

    def list_pairs(self) -> Iterator[Pair]:
        """Yields the references of all that stayed; ValueError when relocations are damaged."""
        for section in self.file.sections:
            if section.name not in _UNLINKED and section.kind not in INITIALISERS:
                for pointer in read_pointers(self.file, section):
                    yield from self._follow(pointer)

    def list_initialisers(self) -> Iterator[int]:
        """Yields the addresses, in the image, of functions that run when it is loaded."""
        for section in self.file.sections:
            if section.kind in INITIALISERS:
                for pointer in read_pointers(self.file, section):
                    found = self._locate(pointer.address)
                    if found is not None:
                        yield found[0]

    def _follow(self, pointer: Pointer) -> Iterator[Pair]:
        source = self._locate(pointer.place)
        symbol = None if pointer.symbol is None else self.file.symbols[pointer.symbol]
        if source is None:
            return
        if symbol is not None and not symbol.section:
            yield Pair(source[0], self.elsewhere.get(symbol.name, symbol.name))
            return
        address = pointer.address
        if symbol is not None and not symbol.name.startswith(_ANONYMOUS):
            address = symbol.address
        target = self._locate(address)
        if target is not None:
            yield Pair(source[0], *target)

    def _locate(self, address: int) -> tuple[int, bool] | None:
        """Returns where the image has what the object has there, and whether it has no symbol."""
        section = find_section(self.file.sections, address)
        if section is None:
            return None
        if section.kind in _LITERALS:
            text = section.content[address - section.address :].partition(b"\0")[0]
            found = self.texts.get(text) if section.kind == STRINGS else None
            return None if found is None else (found, False)
        index = bisect_right(self.places, address, key=lambda place: place.start) - 1
        place = self.places[index]
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
        known: its symbols that stayed -> address in the image.
        elsewhere: the same of other objects.
        texts: string -> address in the image.
    """
    places: dict[tuple[int, int], _Place] = {}
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
