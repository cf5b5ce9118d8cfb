"""The last link takes the bitcode of objects, be it in them or beside, whatever lld is called."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_unit

from builder import api
from builder.core.plan import Interface
from builder.core.toolchain import LTO_COMPILE, LTO_LINK, Bitcode
from builder.native.interfaces import LIBRARIES
from builder.native.link_elf import link_library
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Silent

pytestmark = pytest.mark.host

SOURCES = {
    "root.cpp": 'int inlined(int); extern "C" __attribute__((visibility("default")))\n'
    "int torchlite_run(int x) { return inlined(x); }\n",
    "other.cpp": "int inlined(int x) { return x + 1; }\nint dead() { return 2; }\n",
}


@pytest.fixture(scope="module")
def here():
    found = api.locate_toolchain(api.locate_target(host_abi()))
    if found.bitcode is Bitcode.NONE:
        pytest.skip("needs a clang that builder uses bitcode of")
    return found


@pytest.fixture(params=[Bitcode.INSIDE, Bitcode.BESIDE])
def toolchain(request, here):
    if request.param is Bitcode.INSIDE and here.bitcode is not Bitcode.INSIDE:
        pytest.skip("needs a clang that writes bitcode into objects")
    return replace(here, bitcode=request.param)


def compile_sources(root, toolchain) -> CompileFolder:
    flags = ("-O2", "-fPIC", "-ffunction-sections", "-fvisibility=hidden")
    units = []
    for name, text in SOURCES.items():
        (root / name).write_text(text)
        own = (*flags, *LTO_COMPILE[toolchain.bitcode])
        units.append(make_unit(name, source=str(root / name), flags=own))
    folder = CompileFolder(root=root, ninja_file=Path("b.ninja"), objects="objects", prefixes=())
    write_ninja(render_ninja(units, toolchain, folder), folder)
    compile_units(
        list(SOURCES),
        toolchain,
        folder,
        runner=Runner.inherit(),
        jobs=1,
        progress=Silent(),
        log=root / "log",
    )
    return folder


def link(objects, folder, toolchain, flags) -> str:
    """Links, and returns the symbols."""
    outcome = link_library(
        list(objects),
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
    folder = compile_sources(tmp_path, renamed)
    merged = map(folder.find_bitcode, SOURCES)
    assert "inlined" not in link(merged, tmp_path, renamed, LTO_LINK[toolchain.bitcode])
    unmerged = link(map(folder.find_object, SOURCES), tmp_path, renamed, ())
    assert "inlined" in unmerged
    assert "dead" not in unmerged  # sections are what tells live from dead
