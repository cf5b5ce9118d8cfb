from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machos import ARM64, SIMULATOR, X86_64, make_archive, make_object

from builder.formats.macho import (
    INITIALISERS,
    OBJECT,
    join_architectures,
    read_macho,
    read_members,
    split_architectures,
)


def test_an_object_says_what_it_is_for():
    file = read_macho(make_object(platform=SIMULATOR, version=0x000F0201))
    assert (file.architecture, file.kind) == ("arm64", OBJECT)
    assert (file.platform, file.min_os) == ("ios-simulator", 150201)
    assert [section.name for section in file.sections] == ["__text", "__mod_init_func"]
    assert file.sections[1].kind in INITIALISERS
    assert file.sections[0].content == b"\xc0\x03\x5f\xd6"


def test_symbols_are_told_apart():
    file = read_macho(
        make_object(
            exports=("_a",), private=("__ZN2atE",), undefined=("_malloc",), optional=("_maybe",)
        )
    )
    assert (file.exports, file.private) == ({"_a"}, {"__ZN2atE"})
    assert (file.undefined, file.optional) == ({"_malloc", "_maybe"}, {"_maybe"})


def test_an_object_without_a_version_says_no_platform():
    file = read_macho(make_object(platform=None, cpu=X86_64))
    assert (file.architecture, file.platform, file.min_os) == ("x86_64", "", 0)


def test_members_have_their_long_names_and_the_index_is_none():
    members = list(read_members(make_archive(a_o=b"odd", b_o=make_object())))
    assert [member.name for member in members] == ["a.o", "b.o"]
    assert members[0].contents == b"odd"
    assert read_macho(members[1].contents).architecture == "arm64"


@pytest.mark.parametrize("data", [b"", b"!<arch", b"\x7fELF" + bytes(60), bytes(3)])
def test_what_is_no_mach_o_is_refused(data):
    with pytest.raises(ValueError, match="Mach-O"):
        read_macho(data)
    with pytest.raises(ValueError, match="static library"):
        list(read_members(data))


@pytest.mark.parametrize("end", [-1, -20, 12, 70])
def test_a_cut_archive_is_refused(end):
    with pytest.raises(ValueError, match=r"damaged|truncated"):
        list(read_members(make_archive(a_o=make_object())[:end]))


@given(st.integers(0, len(make_object()) - 1), st.binary(min_size=1, max_size=8))
def test_damage_is_a_value_error_or_another_answer(place, patch):
    data = make_object(undefined=("_malloc",))
    with contextlib.suppress(ValueError):
        read_macho(data[:place] + patch + data[place + len(patch) :])


def test_a_universal_file_holds_each_processors_own():
    files = {"x86_64": b"intel", "arm64": make_archive(a_o=make_object())}
    joined = join_architectures(files)
    assert joined[:4] == b"\xca\xfe\xba\xbe"
    assert split_architectures(joined) == files
    assert join_architectures({"arm64": b"alone"}) == b"alone"
    assert split_architectures(b"!<arch>\n") is None
    assert ARM64.to_bytes(4, "big") in joined
    with pytest.raises(ValueError, match="truncated"):
        split_architectures(joined[:-1])


def change_symbols(data: bytes, name: int, symbols: int, *, step: int = 0) -> bytes:
    """Returns an object with another table: all names begin in one text of `name` letters."""
    changed = bytearray(data)
    at = data.index(struct.pack("<II", 2, 24))
    table = b"".join(struct.pack("<IBBHQ", 1 + step * n, 0x0F, 1, 0, 0) for n in range(symbols))
    texts = b"\0" + b"_" * name + b"\0"
    start = len(data)
    struct.pack_into("<IIII", changed, at + 8, start, symbols, start + len(table), len(texts))
    return bytes(changed) + table + texts


def test_a_name_that_symbols_share_is_one_text():
    symbols = read_macho(change_symbols(make_object(), 60_000, 5000)).symbols
    assert len({id(symbol.name) for symbol in symbols}) == 1


@pytest.mark.parametrize(("name", "symbols", "step"), [(70_000, 1, 0), (60_000, 500, 1)])
def test_names_too_long_or_overlapping_are_refused(name, symbols, step):
    with pytest.raises(ValueError, match=r"far too long|overlap"):
        read_macho(change_symbols(make_object(), name, symbols, step=step))


def test_parts_of_a_universal_file_do_not_overlap():
    entries = b"".join(struct.pack(">IIIII", number, 0, 100, 1000, 0) for number in (1, 2))
    data = struct.pack(">II", 0xCAFEBABE, 2) + entries
    with pytest.raises(ValueError, match="overlap"):
        split_architectures(data.ljust(1100, b"x"))


def test_sections_do_not_overlap():
    content = (("__TEXT", "__text", 0x80000400, bytes(400)),) * 2
    data = bytearray(make_object(sections=content))
    for place in (32 + 72, 32 + 72 + 80):
        struct.pack_into("<QI", data, place + 40, len(data), 0)
    with pytest.raises(ValueError, match="overlap"):
        read_macho(bytes(data))


def test_a_file_has_one_symbol_table():
    data = bytearray(make_object())
    at = data.index(struct.pack("<II", 0x32, 24))
    data[at : at + 24] = struct.pack("<IIIIII", 2, 24, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="several symbol tables"):
        read_macho(bytes(data))
