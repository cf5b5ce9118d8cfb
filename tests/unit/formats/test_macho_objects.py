from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machos import ARM64, STRINGS, TEXT, X86_64, make_object

from builder.formats.macho import read_macho
from builder.formats.macho_objects import Pointer, find_section, read_pointers

UNSIGNED, PAGE, ADDEND = 0, 3, 10
SIGNED, SIGNED_4, SUBTRACTOR = 1, 8, 5


def relocate(place, number, kind, *, symbol=True, relative=False, length=2):
    word = number | relative << 24 | length << 25 | symbol << 27 | kind << 28
    return struct.pack("<iI", place, word)


def point(*entries, cpu=ARM64, code=bytes(16), data=bytes(16)):
    contents = make_object(
        cpu=cpu,
        exports=(),
        undefined=("_malloc",),
        defined=(("_f", 1, 0), ("_table", 2, 16)),
        sections=(("__TEXT", "__text", TEXT, code), ("__DATA", "__const", 0, data)),
        relocations={"__text" if cpu == X86_64 else "__const": b"".join(entries)},
    )
    file = read_macho(contents)
    section = file.sections[0 if cpu == X86_64 else 1]
    return list(read_pointers(file, section))


def test_an_address_in_data_has_its_addend_in_place():
    data = struct.pack("<qq", 4, 0)
    assert point(relocate(0, 1, UNSIGNED, length=3), data=data) == [Pointer(16, 1, 20)]
    assert point(
        relocate(8, 1, UNSIGNED, symbol=False, length=3), data=struct.pack("<qq", 0, 6)
    ) == [Pointer(24, None, 6)]


def test_instructions_of_arm64_have_their_addend_before_them():
    entries = relocate(4, 0xFFFFFF, ADDEND, symbol=False), relocate(4, 1, PAGE, relative=True)
    assert point(*entries) == [Pointer(20, 1, 15)]
    entries = *entries, relocate(8, 1, PAGE, relative=True)
    assert point(*entries)[1] == Pointer(24, 1, 16)


def test_what_is_subtracted_is_no_reference():
    entries = relocate(0, 1, SUBTRACTOR), relocate(0, 0, UNSIGNED)
    assert point(*entries, cpu=X86_64) == [Pointer(0, 0, 0)]


def test_instructions_of_x86_64_count_from_the_next_one():
    code = struct.pack("<iii", 8, -4, 0) + bytes(4)
    asked = {"cpu": X86_64, "code": code}
    assert point(relocate(0, 2, SIGNED, symbol=False, relative=True), **asked) == [
        Pointer(0, None, 12)
    ]
    assert point(relocate(4, 1, SIGNED_4, relative=True), **asked) == [Pointer(4, 1, 16)]


def test_another_library_s_symbol_has_no_address():
    assert point(relocate(0, 2, PAGE)) == [Pointer(16, 2, 0)]


@pytest.mark.parametrize(
    "entry",
    [
        relocate(0, 99, PAGE),
        relocate(16, 0, PAGE),
        relocate(-4, 0, PAGE),
        relocate(14, 0, UNSIGNED, length=3),
        struct.pack("<iI", -(1 << 31), 0),
    ],
)
def test_damaged_relocations_are_refused(entry):
    with pytest.raises(ValueError, match="relocation"):
        point(entry)


@given(st.binary(max_size=64))
def test_any_relocations_are_read_or_refused(entries):
    try:
        found = point(entries[: len(entries) // 8 * 8])
    except ValueError:
        return
    assert all(16 <= pointer.place < 32 for pointer in found)


def test_the_section_of_an_address():
    file = read_macho(make_object(sections=(("__TEXT", "__cstring", STRINGS, b"a\0b\0"),)))
    assert find_section(file.sections, 3) == file.sections[0]
    assert find_section(file.sections, 4) is None


def test_relocations_that_leave_the_file_are_refused():
    contents = bytearray(make_object())
    place = contents.index(b"__text") + 32 + 16 + 4 + 4 + 4  # nreloc
    struct.pack_into("<I", contents, place, 1 << 24)
    with pytest.raises(ValueError, match="lies outside of the file"):
        read_macho(bytes(contents))
