from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from builder.errors import ConfigurationError
from builder.size.measure import (
    LINKER_PART,
    RUNTIME_PART,
    measure,
    name_unit,
    read_sections,
    sum_parts,
)

OBJECTS = Path("/cache/objects")
PROGBITS, STRTAB, NOBITS = 1, 3, 8


def make_elf(sections: dict[str, bytes], nobits: int = 0) -> bytes:
    """Returns a 64-bit ELF file with `sections`, and a `.bss` of `nobits` bytes."""
    listed = [*sections.items(), (".shstrtab", b"")]
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _ in listed) + b".bss\0"
    listed[-1] = (".shstrtab", names)
    body, headers = b"", [bytes(64)]
    for name, content in listed:
        kind = STRTAB if name == ".shstrtab" else PROGBITS
        where = names.index(name.encode() + b"\0")
        headers.append(
            struct.pack("<IIQQQQIIQQ", where, kind, 0, 0, 64 + len(body), len(content), 0, 0, 1, 0)
        )
        body += content
    bss = names.index(b".bss\0")
    headers.append(struct.pack("<IIQQQQIIQQ", bss, NOBITS, 0, 0, 64, nobits, 0, 0, 1, 0))
    count = len(headers)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    start = 64 + len(body)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 3, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, count, count - 2
    )
    return head + body + b"".join(headers)


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "my libx.so"
    path.write_bytes(make_elf({".text": b"t" * 300, ".rodata": b"r" * 100}, nobits=5000))
    return path


def test_sections_add_up_to_the_file(library):
    sections = read_sections(library)
    assert sections[".text"] == 300
    assert sections[".rodata"] == 100
    assert ".bss" not in sections
    assert sum(sections.values()) == library.stat().st_size
    assert sections["headers and padding"] > 0


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"not a library" * 20])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.so"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not a little-endian ELF library"):
        read_sections(path)


@pytest.mark.parametrize("kept", [8, 64, 500])
def test_a_library_that_is_cut_off_is_refused(library, kept):
    library.write_bytes(library.read_bytes()[:kept])
    with pytest.raises(ConfigurationError, match="is a damaged ELF library"):
        read_sections(library)


def test_sections_are_those_that_pyelftools_reads(library):
    with library.open("rb") as stream:
        expected = {
            section.name: section["sh_size"]
            for section in ELFFile(stream).iter_sections()
            if section["sh_type"] not in {"SHT_NOBITS", "SHT_NULL"}
        }
    sections = read_sections(library)
    del sections["headers and padding"]
    assert sections == expected


@pytest.mark.parametrize(
    ("owner", "unit"),
    [
        ("/cache/objects/c10/core/Device.cpp.o", "c10/core/Device.cpp"),
        ("/cache/objects/torch/prims.cpp@0123456789ab.o", "torch/prims.cpp"),
        ("/usr/lib/gcc/x86_64-linux-gnu/12/libstdc++.a(vector.o)", RUNTIME_PART),
        ("/usr/lib/libgcc_eh.a(unwind-dw2.o)", RUNTIME_PART),
        ("/lib/x86_64-linux-gnu/crti.o", RUNTIME_PART),
        ("<internal>", LINKER_PART),
    ],
)
def test_owners(owner, unit):
    assert name_unit(owner, OBJECTS) == unit


def test_the_first_prefix_decides_the_part():
    units = {
        "third_party/XNNPACK/src/a.c": 1,
        "aten/src/ATen/native/xnnpack/Linear.cpp": 2,
        "aten/src/ATen/native/quantized/cpu/qnnpack/src/x.c": 4,
        "aten/src/ATen/native/Copy.cpp": 8,
        "generated/aten/src/ATen/RegisterCPU.cpp": 16,
        "generated/aten/src/ATen/Operators_0.cpp": 32,
        "torch/csrc/jit/mobile/import.cpp": 64,
        "torchlite/torchlite.cpp": 128,
        RUNTIME_PART: 256,
        "elsewhere/x.cpp": 512,
    }
    assert sum_parts(units) == {
        "XNNPACK": 3,
        "QNNPACK": 4,
        "ATen kernels": 24,
        "ATen core": 32,
        "interpreter": 64,
        "C API and registrations": 128,
        RUNTIME_PART: 256,
        "elsewhere/x.cpp": 512,
    }


def test_a_report_accounts_for_every_byte(library, tmp_path):
    head = " " * 12 + "1 " + " " * 12 + "1 "
    entries = [
        (".text", None, 0),
        ("/cache/objects/c10/a.cpp.o", ".text._Z1f", 200),
        ("/cache/objects/torch/p.cpp@0a.o", ".text._Z1g", 50),
        ("/usr/lib/libstdc++.a(s.o)", ".text", 40),
        ("<internal>", ".text", 10),
        (".symtab", None, 0),
        ("<internal>", ".symtab", 9999),  # of the unstripped library
        (".bss", None, 0),
        ("/cache/objects/c10/a.cpp.o", ".bss.x", 5000),
    ]
    lines = [
        f"{head}{size:8x}    16 {owner}"
        if section is None
        else f"{head}{size:8x}    16         {owner}:({section})"
        for owner, section, size in entries
    ]
    map_file = tmp_path / "x.map"
    map_file.write_text("\n".join(lines) + "\n")
    report = measure(library, map_file, OBJECTS)
    size = library.stat().st_size
    assert report.file == size
    assert report.compressed == len(zlib.compress(library.read_bytes(), 9))
    assert report.units["c10/a.cpp"] == 200
    assert report.units["torch/p.cpp"] == 50
    assert report.units[RUNTIME_PART] == 40
    assert report.units[LINKER_PART] == size - 290
    assert report.parts["c10"] == 200
    for sizes in (report.units, report.parts, report.sections):
        assert sum(sizes.values()) == size
