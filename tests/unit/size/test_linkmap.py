from __future__ import annotations

from builder.size.linkmap import InputSection, parse_map

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
    assert list(parse_map(MAP.splitlines(keepends=True))) == [
        InputSection("<internal>", ".note.gnu.build-id", 0x24),
        InputSection("<internal>", ".rodata", 0xFA0),
        InputSection("/c c/objects/c10/a.cpp.o", ".rodata", 0x14),
        InputSection("/c c/objects/c10/a.cpp.o", ".text", 0x800),
        InputSection("/usr/lib/libstdc++.a(vector.o)", ".text", 0x7F0),
        InputSection("/c c/objects/c10/b.c.o", "odd-section", 0x18),
        InputSection("<internal>", ".comment", 0x60),
    ]


def test_other_text_has_no_sections():
    assert list(parse_map(["", "hello\n", "ld.lld: error: x:(y)\n", "1 2 3\n"])) == []
