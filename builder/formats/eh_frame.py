"""Finds the unwinding data of each function: `.eh_frame` and the tables that it points to.

The layout is in the Linux Standard Base, "Exception Frames". The encodings of pointers are DWARF's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_OMITTED, _RELATIVE = 0xFF, 0x10
"""DW_EH_PE_omit and DW_EH_PE_pcrel: no pointer is stored; a pointer counts from its own place."""
_FORMATS = {0x0: "<Q", 0x2: "<H", 0x3: "<I", 0x4: "<Q", 0xA: "<h", 0xB: "<i", 0xC: "<q"}
"""DW_EH_PE_absptr, udata2, udata4, udata8, sdata2, sdata4, sdata8: how the bytes are stored."""

_LONGEST_LEB128 = 70
"""Bits that a number may have: ten bytes of seven bits are enough for 64 bits."""


class Frame(NamedTuple):
    """The unwinding entry of one function."""

    function: int
    """Address of the first byte of the function."""
    size: int
    """Bytes of the entry in `.eh_frame`."""
    exceptions: int | None
    """Address of the function's table in `.gcc_except_table`.

    None when the function neither catches exceptions nor cleans up after them.
    """


class _Common(NamedTuple):
    """The part of entries that many functions share (CIE in the standard)."""

    pointer: int
    exceptions: int
    augmented: bool


def parse_frames(data: bytes, address: int) -> Iterator[Frame]:
    """Yields the entries of an `.eh_frame` section that is loaded at `address`.

    Damaged data raises `ValueError`, `IndexError`, `KeyError` or `struct.error`.
    """
    commons: dict[int, _Common] = {}
    offset = 0
    while offset + 8 <= len(data):
        length, common = struct.unpack_from("<II", data, offset)
        # The section merges those of all objects, and each may bring its own terminator.
        if length == 0:  # a terminator; a linker may leave several of them inside the section
            offset += 4
            continue
        # An identifier of zero marks a CIE; every FDE points back to one that stands before it.
        if common == 0:
            commons[offset] = _parse_common(data, offset + 8)
        else:
            # `common` is the distance back from its own field to the shared part.
            entry = commons[offset + 4 - common]
            yield _parse_frame(data, offset, length + 4, address, entry)
        offset += length + 4


def _parse_frame(data: bytes, offset: int, size: int, address: int, common: _Common) -> Frame:
    function, offset = _pointer(data, offset + 8, address, common.pointer)
    # The second field is the length of the function: a number, so it counts from nothing (pcrel is
    # masked off).
    _, offset = _pointer(data, offset, address, common.pointer & 0xF)
    exceptions = None
    if common.augmented and common.exceptions != _OMITTED:
        # The length of the augmentation data; only the pointer in it is read.
        _, offset = _leb128(data, offset)
        # Stored zero means that there is no table, also where pointers count from their place.
        stored, _ = _pointer(data, offset, 0, common.exceptions & 0xF)
        if stored:
            exceptions, _ = _pointer(data, offset, address, common.exceptions)
    return Frame(function, size, exceptions)


def _parse_common(data: bytes, offset: int) -> _Common:
    # The augmentation is a string that ends with a zero byte, behind one byte with the version.
    end = data.index(0, offset + 1)
    augmentation = data[offset + 1 : end].decode("ascii")
    offset = end + 1
    for _ in range(3):  # code alignment, data alignment, return register
        _, offset = _leb128(data, offset)
    # Without "z" nothing says how long the augmentation data are, so no pointer can be found.
    if not augmentation.startswith("z"):
        return _Common(0, _OMITTED, augmented=False)
    _, offset = _leb128(data, offset)
    pointer, exceptions = 0, _OMITTED
    for letter in augmentation[1:]:
        if letter == "R":
            pointer, offset = data[offset], offset + 1
        elif letter == "L":
            exceptions, offset = data[offset], offset + 1
        # P is the personality routine, which every function of one language shares: it is skipped.
        elif letter == "P":
            offset = _pointer(data, offset + 1, 0, data[offset] & 0xF)[1]
    return _Common(pointer, exceptions, augmented=True)


def _pointer(data: bytes, offset: int, address: int, encoding: int) -> tuple[int, int]:
    layout = _FORMATS[encoding & 0xF]
    (value,) = struct.unpack_from(layout, data, offset)
    if encoding & 0x70 == _RELATIVE:
        value += address + offset
    return value, offset + struct.calcsize(layout)


def _leb128(data: bytes, offset: int) -> tuple[int, int]:
    # LEB128 (DWARF 5, section 7.6): seven bits per byte, low bits first, the top bit says "more".
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > _LONGEST_LEB128:
            raise ValueError("a number in the unwinding data does not end")
        if byte < 0x80:
            return value, offset
