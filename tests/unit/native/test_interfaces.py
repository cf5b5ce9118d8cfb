from __future__ import annotations

import re

import pytest

from builder.core.plan import Interface
from builder.native.interfaces import LIBRARIES
from builder.system.folders import data_folder


def test_every_interface_has_a_library():
    assert set(LIBRARIES) == set(Interface)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=str)
def test_units_are_files_and_every_file_of_the_jni_layer_is_a_unit(library):
    runtime = data_folder("cmake") / "runtime"
    assert all((runtime / unit).is_file() for unit in library.units)
    folders = {unit.rpartition("/")[0] for unit in library.units} - {""}
    there = {
        f.relative_to(runtime).as_posix() for x in folders for f in (runtime / x).glob("*.cpp")
    }
    assert there <= set(library.units)


def test_only_exports_are_visible():
    script = LIBRARIES[Interface.JNI].version_script
    assert re.sub(r"\s+", " ", script) == "{ global: JNI_OnLoad; local: *; }; "
