"""Reads the references in a Mach-O object from its relocations, as linkers do.

The layouts are in <mach-o/nlist.h>, <mach-o/reloc.h>, <mach-o/arm64/reloc.h> and
<mach-o/x86_64/reloc.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from builder.formats.macho import MachFile, MachSection

_ENTRY = struct.Struct("<iI")
_SCATTERED = 0x80000000
"""R_SCATTERED: relocations of another layout, which 64-bit objects do not have."""
_UNSIGNED = 0
"""ARM64_RELOC_UNSIGNED: the place holds an address."""
_SUBTRACTOR = {"arm64": 1, "x86_64": 5}
"""Architecture -> number of its ..._RELOC_SUBTRACTOR."""
_ADDEND = 10
"""ARM64_RELOC_ADDEND: a number that the next relocation adds to its address."""
_BIAS = {6: 1, 7: 2, 8: 4}
"""X86_64_RELOC_SIGNED_1, 2, 4: bytes of the instruction that follow the address."""
_WIDTHS = {2: "<i", 3: "<q"}
"""r_length, the base-2 logarithm of the length in bytes -> how the number is stored."""


class Pointer(NamedTuple):
    """A place in an object where the linker writes an address."""

    place: int
    """Address of the place in the object."""
    symbol: int | None
    """Index of the symbol that is referred to; None when only the address is known."""
    address: int
    """Address in the object that is referred to; for an undefined symbol, the distance from it."""


def read_pointers(file: MachFile, section: MachSection) -> Iterator[Pointer]:
    """Yields what the relocations of a section refer to; ValueError when they are damaged.

    Two relocations describe a difference of addresses. The subtracted one is not a reference, so
    it is left out.
    """
    addend = 0
    # Entries have 8 bytes: an address, and 24 bits of a number with flags in the upper byte.
    for place, word in _ENTRY.iter_unpack(section.relocations):
        if place & _SCATTERED or not 0 <= place < section.size:
            raise ValueError(f"a relocation lies outside of {section.segment},{section.name}")
        # r_symbolnum, r_extern and r_type; r_pcrel is bit 24, r_length are bits 25 and 26.
        number, is_symbol, kind = word & 0xFFFFFF, bool(word >> 27 & 1), word >> 28
        if file.architecture == "arm64" and kind == _ADDEND:
            addend = number - (number >> 23 << 24)  # a signed number of 24 bits
            continue
        # A SUBTRACTOR comes before the UNSIGNED that it belongs to, and only that one is a
        # reference.
        if kind != _SUBTRACTOR.get(file.architecture):
            stored = addend + _read_addend(file, section, place, word)
            yield _resolve(file, section, place, number if is_symbol else None, stored, word)
        addend = 0


def _resolve(
    file: MachFile, section: MachSection, place: int, symbol: int | None, stored: int, word: int
) -> Pointer:
    at = section.address + place
    if symbol is None:
        relative = bool(word >> 24 & 1)
        # x86-64 counts from the end of the address, which has 4 bytes.
        return Pointer(at, None, stored + (at + 4 if relative else 0))
    if symbol >= len(file.symbols):
        raise ValueError("a relocation refers to a symbol that does not exist")
    return Pointer(at, symbol, file.symbols[symbol].address + stored)


def _read_addend(file: MachFile, section: MachSection, place: int, word: int) -> int:
    """Returns the number that is stored at the place; instructions of arm64 store none."""
    kind, width = word >> 28, _WIDTHS.get(word >> 25 & 3)
    if width is None or (file.architecture == "arm64" and kind != _UNSIGNED):
        return 0
    try:
        (value,) = struct.unpack_from(width, section.content, place)
    except struct.error as error:
        raise ValueError(f"a relocation reaches beyond the end of {section.name}") from error
    return int(value) + (_BIAS.get(kind, 0) if file.architecture == "x86_64" else 0)


def find_section(sections: Sequence[MachSection], address: int) -> MachSection | None:
    """Returns the section that holds `address`, or None."""
    return next((s for s in sections if s.address <= address < s.address + s.size), None)
