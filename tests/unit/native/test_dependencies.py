from __future__ import annotations

from pathlib import Path

import pytest
from samples import FakeRunner, make_tool

from builder.errors import NativeBuildError
from builder.native.dependencies import list_inputs, parse_inputs
from builder.native.ninja import CompileFolder
from builder.system.process import Completed

FOLDER = CompileFolder(
    root=Path("/cache/native/key"),
    ninja_file=Path("plans/key/build.ninja"),
    objects="objects/size",
    prefixes=(),
)
RECORD = """\
objects/size/c10/a.cpp.o: #deps 5, deps mtime 1795304376920977039 (VALID)
    pytorch/c10/a.cpp
    pytorch/third_party/fmt/include/fmt/core.h
    configured/c10/macros/cmake_macros.h
    /usr/include/c++/12/cstddef
    torchlite/torchlite.h

objects/size/third_party/torchvision/b c.cpp.o: #deps 1, deps mtime 1 (STALE)
    torchvision/third_party/torchvision/b c.cpp
"""


def list_with(runner, *units):
    trees = {"pytorch", "torchvision"}
    return list_inputs(units, FOLDER, trees, ninja=make_tool("ninja"), runner=runner)


def test_files_of_source_trees_are_told_by_their_path_there():
    assert list_with(FakeRunner.saying(RECORD), "c10/a.cpp", "third_party/torchvision/b c.cpp") == (
        "c10/a.cpp",
        "third_party/fmt/include/fmt/core.h",
        "third_party/torchvision/b c.cpp",
    )


def test_many_objects_are_asked_for_in_turns():
    def answer(command):
        return Completed(0, "".join(f"x: #deps 1\n    pytorch/{name}\n" for name in command[5:]))

    runner = FakeRunner(answer=answer)
    units = [f"u{index}.cpp" for index in range(150)]
    assert list_with(runner, *units) == tuple(sorted(f"objects/size/{unit}.o" for unit in units))
    assert [len(command) - 5 for command in runner.commands] == [64, 64, 22]
    head = ("/usr/bin/ninja", "-f", "plans/key/build.ninja", "-t", "deps")
    assert {command[:5] for command in runner.commands} == {head}
    assert set(runner.folders) == {FOLDER.root}


def test_an_object_without_a_record_is_an_error():
    with pytest.raises(NativeBuildError, match=r"a\.o: deps not found"):
        list(parse_inputs(f"{RECORD}objects/size/a.o: deps not found\n"))


def test_a_ninja_that_fails_is_an_error():
    with pytest.raises(NativeBuildError, match="unknown target"):
        list_with(FakeRunner.saying("ninja: error: unknown target", 1), "a.cpp")
