from __future__ import annotations

import struct

import pytest

from builder.formats.elf import Elf
from builder.platforms.android.libraries import read_facts
from tests.fuzz.elves import make_elf

SEGMENT = 64 + 56
"""Where the second segment, the dynamic one, stands."""


def test_a_library_says_what_it_needs_and_has():
    facts = read_facts(make_elf())
    assert (facts.bits, facts.machine) == (64, 183)
    assert facts.needed == ("libc.so",)
    assert facts.soname == "libpytorch_jni_lite.so"
    assert (facts.exports, facts.undefined) == (("JNI_OnLoad",), ("malloc",))
    assert facts.build_id
    assert facts.has_symbol_table
    assert facts.bind_now
    assert facts.paths == ("/home/user/project/file.cpp", "/proc/cpuinfo")


def test_several_dynamic_segments_are_refused():
    data = bytearray(make_elf())
    data[SEGMENT + 56 : SEGMENT + 112] = data[SEGMENT : SEGMENT + 56]
    with pytest.raises(ValueError, match="several dynamic segments"):
        read_facts(bytes(data))


def test_sections_and_symbols_that_share_a_name_share_one_text():
    names = ("n" * 60_000,) * 2
    elf = Elf(make_elf(symbols=names))
    data = bytearray(elf.contents)
    table = next(section for section in elf.sections if section.name == ".dynsym")
    first = data[table.offset + 24 : table.offset + 28]
    data[table.offset + 48 : table.offset + 52] = first
    exported = Elf(bytes(data)).exported
    assert exported[1].name is exported[2].name


@pytest.mark.parametrize("length", [65_537, 1 << 20])
def test_names_that_are_far_too_long_are_refused(length):
    with pytest.raises(ValueError, match="far too long"):
        read_facts(make_elf(symbols=("n" * length,)))


def test_needed_libraries_have_short_names():
    data = make_elf()
    at = data.index(b"libc.so\0")
    long = data[:at] + b"n" * 5000 + data[at + 5000 :].ljust(6000, b"n")
    with pytest.raises(ValueError, match=r"not a shared library that can be read"):
        read_facts(long)


def test_a_section_count_beyond_the_file_is_refused():
    data = bytearray(make_elf())
    struct.pack_into("<H", data, 60, 65_535)
    with pytest.raises(ValueError, match="not a shared library"):
        read_facts(bytes(data))
