"""The linker takes bitcode from objects that hold both, whatever its file is called."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from builder import api
from builder.core.plan import Interface
from builder.core.toolchain import FAT_LTO_LINK
from builder.native.interfaces import LIBRARIES
from builder.native.link import link_library
from builder.system.machine import host_abi
from builder.system.process import Runner

pytestmark = pytest.mark.host

SOURCES = {
    "root.cpp": 'int inlined(int); extern "C" __attribute__((visibility("default")))\n'
    "int torchlite_run(int x) { return inlined(x); }\n",
    "other.cpp": "int inlined(int x) { return x + 1; }\n",
}


@pytest.fixture(scope="module")
def toolchain():
    found = api.locate_toolchain(api.locate_target(host_abi()))
    if not found.fat_objects:
        pytest.skip("needs a clang that writes bitcode beside code")
    return found


def link(folder, toolchain, flags):
    objects = []
    for name, text in SOURCES.items():
        source = folder / name
        source.write_text(text)
        objects.append(source.with_suffix(".o"))
        options = ("-O2", "-fPIC", "-flto", "-ffat-lto-objects", "-fvisibility=hidden")
        subprocess.run([toolchain.cxx.path, *options, "-c", source, "-o", objects[-1]], check=True)
    outcome = link_library(
        objects,
        folder / "lib.so",
        toolchain,
        flags=flags,
        soname="lib.so",
        version_script=LIBRARIES[Interface.C].version_script,
        runner=Runner.inherit(),
        log=folder / "link.log",
    )
    assert outcome.undefined == ()
    symbols = ["readelf", "--symbols", "--wide", folder / "lib.so"]
    return subprocess.run(symbols, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["ld.lld", "ld.lld-99"])
def test_whatever_the_linker_is_called(toolchain, tmp_path, name):
    (tmp_path / name).symlink_to(toolchain.linker.path)
    renamed = replace(toolchain, linker=replace(toolchain.linker, path=tmp_path / name))
    assert "inlined" not in link(tmp_path, renamed, FAT_LTO_LINK)
    assert "inlined" in link(tmp_path, renamed, ())
