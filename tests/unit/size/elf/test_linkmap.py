from __future__ import annotations

from builder.size.elf.linkmap import is_optimised, parse_map, parse_names, read_pieces

MAP = """\
             VMA              LMA     Size Align Out     In      Symbol
             2a8              2a8       24     4 .note.gnu.build-id
             2a8              2a8       24     4         <internal>:(.note.gnu.build-id)
            3e3a0            3e3a0    37c20    32 .rodata
            3e3a0            3e3a0      fa0    16         <internal>:(.rodata)
           6715c            6715c       14     4         /c c/objects/c10/a.cpp.o:(.rodata._ZTS1A)
           6715c            6715c       14     1                 typeinfo name for A:(odd)
           70000            70000     1000    16 .text
           70000            70000      800    16         /c c/objects/c10/a.cpp.o:(.text._Z1fv)
           70000            70000      800     1                 f()
           70800            70800      7f0    16         /usr/lib/libstdc++.a(vector.o):(.text)
           70ff0            70ff0       10     1         . = ALIGN(16)
           80000            80000       20     8 .tbss
           80000            80000       20     8         /c c/objects/c10/a.cpp.o:(.tbss.x)
           80000            80000       18     8 odd-section
           80000            80000       18     8         /c c/objects/c10/b.c.o:(odd-section)
           81000            81000     9000    32 .bss
           81000            81000     9000    32         /c c/objects/c10/a.cpp.o:(.bss.table)
               0                0       60     1 .comment
               0                0       60     1         <internal>:(.comment)
"""


def test_input_sections_with_the_output_they_went_to():
    pieces = list(parse_map(MAP.splitlines(keepends=True)))
    assert [(piece.owner, piece.section, piece.size) for piece in pieces] == [
        ("<internal>", ".note.gnu.build-id", 0x24),
        ("<internal>", ".rodata", 0xFA0),
        ("/c c/objects/c10/a.cpp.o", ".rodata", 0x14),
        ("/c c/objects/c10/a.cpp.o", ".text", 0x800),
        ("/usr/lib/libstdc++.a(vector.o)", ".text", 0x7F0),
        ("/c c/objects/c10/b.c.o", "odd-section", 0x18),
    ]
    assert [piece.address for piece in pieces[-3:]] == [0x70000, 0x70800, 0x80000]


def test_kept_relocations_are_not_loaded():
    """`--emit-relocs`: their pieces stand at offsets, not at addresses."""
    kept = """\
               0                0     18c0     8 .rela.text
               0                0      600     8         /objects/c10/a.cpp.o:(.rela.text._Z1fv)
             600              600      12c0    8         /objects/c10/b.cpp.o:(.rela.text._Z1gv)
"""
    assert list(parse_map(kept.splitlines())) == []


def test_names_of_addresses():
    assert parse_names(MAP.splitlines(keepends=True)) == {
        0x6715C: "typeinfo name for A:(odd)",
        0x70000: "f()",
    }


def test_other_text_has_no_sections():
    assert list(parse_map(["", "hello\n", "ld.lld: error: x:(y)\n", "1 2 3\n"])) == []


OPTIMISED = """\
           70000            70000      900    16 .text
           70000            70000      700    16         /plan/lib.so.lto.o:(.text._Z1fv)
           70700            70700      100    16         /plan/lib.so.lto.o:(.text._Z1fv.12.cold)
           70800            70800       80    16         /plan/lib.so.lto.o:(.text._Z1nv)
           70880            70880       80    16         /usr/lib/libstdc++.a(vector.o):(.text)
"""


def test_functions_of_an_optimised_library_are_given_to_their_units(tmp_path):
    before, after = tmp_path / "units.map", tmp_path / "map"
    before.write_text(MAP)
    after.write_text(OPTIMISED)
    owners = [piece.owner for piece in read_pieces(after, before)]
    unit, whole = "/c c/objects/c10/a.cpp.o", "/plan/lib.so.lto.o"
    assert owners == [unit, unit, whole, "/usr/lib/libstdc++.a(vector.o)"]
    assert [is_optimised(owner) for owner in owners] == [False, False, True, False]
    assert [piece.owner for piece in read_pieces(after)][:3] == [whole] * 3
