from __future__ import annotations

import struct

from machos import INITIALISERS, STRINGS, TEXT, make_object

from builder.formats.macho import read_macho
from builder.size.macho.places import Pair, place_object

BRANCH, PAGE = 2, 3
CODE, TEXTS, TABLES, STARTS = 0, 32, 48, 64


def relocate(place, number, kind, length=2):
    return struct.pack("<iI", place, number | length << 25 | 1 << 27 | kind << 28)


def place(entries, known, *, elsewhere=(), texts=()):
    contents = make_object(
        exports=(),
        undefined=("_malloc",),
        defined=(
            *(("_f", 1, CODE), ("_dead", 1, 16), ("l_.str", 2, TEXTS + 4)),
            *(("ltmp2", 3, TABLES), ("_start", 4, STARTS)),
        ),
        sections=(
            ("__TEXT", "__text", TEXT, bytes(32)),
            ("__TEXT", "__cstring", STRINGS, b"one\0two\0".ljust(16, b"\0")),
            ("__TEXT", "__const", 0, bytes(16)),
            ("__DATA", "__mod_init_func", INITIALISERS, bytes(8)),
        ),
        relocations={"__text": entries, "__mod_init_func": relocate(0, 0, 0, length=3)},
    )
    return place_object(read_macho(contents), known, dict(elsewhere), dict(texts))


def test_references_are_told_by_addresses_in_the_image():
    entries = relocate(4, 2, PAGE) + relocate(8, 5, BRANCH)
    one = place(entries, {"_f": 0x4000}, texts={b"two": 0x9000})
    assert list(one.list_pairs()) == [Pair(0x4004, 0x9000), Pair(0x4008, "_malloc")]
    one = place(entries, {"_f": 0x4000}, elsewhere={"_malloc": 0x5000})
    assert list(one.list_pairs()) == [Pair(0x4008, 0x5000)]


def test_what_was_dropped_refers_to_nothing():
    assert list(place(relocate(20, 5, BRANCH), {"_f": 0x4000}).list_pairs()) == []
    assert list(place(relocate(4, 1, BRANCH), {"_f": 0x4000}).list_pairs()) == []


def test_data_without_a_symbol_begins_where_it_is_referred_to():
    addend = struct.pack("<iI", 4, 8 | 10 << 28)
    one = place(addend + relocate(4, 3, PAGE), {"_f": 0x4000, "ltmp2": 0x7000})
    assert list(one.list_pairs()) == [Pair(0x4004, 0x7008, anonymous=True)]


def test_initialisers():
    assert list(place(b"", {"_f": 0x4000}).list_initialisers()) == [0x4000]
    assert list(place(b"", {}).list_initialisers()) == []
