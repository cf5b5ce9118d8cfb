from __future__ import annotations

import pytest
from machos import make_object

from builder.errors import ConfigurationError
from builder.size.macho.measure import measure_image, parse_macho_map
from builder.size.measure import LINKER_PART, WHOLE_PART

MAP = """\
# Path: {folder}/libTorchLite.dylib
# Object files:
[  0] linker synthesized
[  1] {folder}/objects/c10/core/Device.cpp.o.bc
[  2] {folder}/merged/0.arm64.lto.o
# Sections:
0x00004000\t0x00000020\t__TEXT\t__text
# Symbols:
# Address\tSize    \tFile  Name
0x00004000\t0x00000002\t[  1] _torchlite_load
0x00004004\t0x00000001\t[  2] __ZN3c103addEv
0x00004008\t0x00000003\t[  2] __ZN3c104madeEv
0x0000400C\t0x00000001\t[  0] __mh_dylib_header
# Dead Stripped Symbols:
#        \tSize    \tFile  Name
<<dead>>\t0x00000010\t[  2] __ZN4deadEv
"""
UNITS = """\
# Object files:
[  1] {folder}/objects/c10/util/add.cpp@0123.o
# Symbols:
0x00004000\t0x00000040\t[  1] __ZN3c103addEv
"""


@pytest.fixture
def image(tmp_path):
    (tmp_path / "image").write_bytes(make_object())
    (tmp_path / "map").write_text(MAP.format(folder=tmp_path))
    (tmp_path / "units.map").write_text(UNITS.format(folder=tmp_path))
    return tmp_path / "image"


def measure(image, **options):
    folder = image.parent
    return measure_image(image, folder / "map", folder / "objects", **options)


def test_only_what_is_alive_counts():
    atoms = parse_macho_map(MAP.format(folder="/f"))
    assert [atom.name for atom in atoms][-1] == "__mh_dylib_header"
    assert atoms[0].owner == "/f/objects/c10/core/Device.cpp.o"
    assert atoms[-1].owner == ""


def test_merged_functions_go_to_the_units_that_they_come_from(image, tmp_path):
    report = measure(image, units_map=tmp_path / "units.map")
    assert report.units["c10/core/Device.cpp"] == 2
    assert report.units["c10/util/add.cpp"] == 1
    assert report.units[WHOLE_PART] == 3
    assert sum(report.units.values()) == report.file == image.stat().st_size
    assert report.units[LINKER_PART] == report.file - 6
    assert report.sections["__TEXT,__text"] == 4
    assert sum(report.sections.values()) == report.file
    assert measure(image).units[WHOLE_PART] == 4


def test_what_is_no_image_is_refused(image):
    image.write_bytes(b"\x7fELF")
    with pytest.raises(ConfigurationError, match="Mach-O file cannot be read"):
        measure(image)
