from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import make_toolchain

from builder.core.plan import DispatchBackend, Flavour
from builder.errors import NativeBuildError
from builder.native.cmake_file_api import REPLY, Relocation, Roots, read_unit_graph
from builder.native.flags import load_tuning

TUNING = load_tuning(Flavour(), make_toolchain(), (DispatchBackend.CPU,))


def make_target(name: str, kind: str, sources: list[dict], groups: list[dict]) -> dict:
    return {"name": name, "type": kind, "sources": sources, "compileGroups": groups}


@pytest.fixture
def roots(tmp_path):
    """A configured build of three libraries, as CMake 3.27 describes one in its file API."""
    cache = tmp_path / "my cache"
    source, binary = cache / "sources/a tree", cache / "native/key/build"
    for path in (
        source / "c10/core/Device.cpp",
        source / "c10/shared.cpp",
        source / "third_party/cpu/init.c",
        source / "third_party/cpu/fast.S",
        source / "tools/main.cpp",
        binary / "aten/src/ATen/RegisterCPU.cpp",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    targets = {
        "torch_cpu": make_target(
            "torch_cpu",
            "STATIC_LIBRARY",
            [
                {"path": str(binary / "aten/src/ATen/RegisterCPU.cpp"), "compileGroupIndex": 0},
                {"path": str(binary / "torch/NotYetWritten.cpp"), "compileGroupIndex": 0},
                {"path": "c10/shared.cpp", "compileGroupIndex": 0},
                {"path": "aten/src/ATen/ATen.h"},
            ],
            [{"language": "CXX", "compileCommandFragments": [{"fragment": "-DLATE"}]}],
        ),
        "c10": make_target(
            "c10",
            "STATIC_LIBRARY",
            [
                {"path": "c10/core/Device.cpp", "compileGroupIndex": 0},
                {"path": "c10/shared.cpp", "compileGroupIndex": 0},
            ],
            [
                {
                    "language": "CXX",
                    "compileCommandFragments": [
                        {"fragment": " -O2 -Wall '-DNAME=\"a b\"' "},
                        {"fragment": "-std=gnu++17"},
                    ],
                    "defines": [{"define": "FMT_HEADER_ONLY=1"}],
                    "includes": [
                        {"path": str(source)},
                        {"path": "/usr/include/other", "isSystem": True},
                        {"path": str(cache / "sdk/usr/include"), "isSystem": True},
                    ],
                }
            ],
        ),
        "cpu": make_target(
            "cpu",
            "OBJECT_LIBRARY",
            [
                {"path": "third_party/cpu/init.c", "compileGroupIndex": 0},
                {"path": "third_party/cpu/fast.S", "compileGroupIndex": 1},
            ],
            [{"language": "C"}, {"language": "ASM"}],
        ),
        "main": make_target(
            "main",
            "EXECUTABLE",
            [{"path": "tools/main.cpp", "compileGroupIndex": 0}],
            [{"language": "CXX"}],
        ),
        "generate": {"name": "generate", "type": "UTILITY"},
    }
    reply = binary / REPLY
    reply.mkdir(parents=True)
    for name, target in targets.items():
        (reply / f"target-{name}.json").write_text(json.dumps(target))
    listed = [{"name": name, "jsonFile": f"target-{name}.json"} for name in targets]
    model = {
        "configurations": [{"name": "Release", "targets": listed}],
        "kind": "codemodel",
        "paths": {"build": str(binary), "source": str(source)},
    }
    (reply / "codemodel-v2-1.json").write_text(json.dumps(model))
    return Roots(source, binary)


def test_units_are_named_alike_on_every_machine(roots):
    assert sorted(read_unit_graph(roots, TUNING).units) == [
        "c10/core/Device.cpp",
        "c10/shared.cpp",
        "generated/aten/src/ATen/RegisterCPU.cpp",
        "third_party/cpu/fast.S",
        "third_party/cpu/init.c",
    ]


def test_a_unit_carries_what_compiles_it(roots):
    unit = read_unit_graph(roots, TUNING).units["c10/core/Device.cpp"]
    assert (unit.library, unit.language, unit.generated) == ("c10", "CXX", False)
    assert Path(unit.source) == roots.source / "c10/core/Device.cpp"
    assert unit.flags[:9] == (
        *("-DFMT_HEADER_ONLY=1", "-I", str(roots.source), "-isystem", "/usr/include/other"),
        *("-isystem", str(roots.cache / "sdk/usr/include")),
        '-DNAME="a b"',
        "-std=gnu++17",
    )
    assert "-Oz" in unit.flags


def test_languages_and_generated_units(roots):
    units = read_unit_graph(roots, TUNING).units
    assert units["third_party/cpu/fast.S"].language == "ASM"
    assert units["third_party/cpu/init.c"].language == "C"
    assert units["generated/aten/src/ATen/RegisterCPU.cpp"].generated


def test_a_file_of_two_libraries_is_one_unit_and_always_the_same(roots):
    assert read_unit_graph(roots, TUNING).units["c10/shared.cpp"].library == "c10"


def test_the_newest_reply_counts(roots):
    paths = {"build": "/c/native/k/b", "source": "/c/s"}
    newer = {"configurations": [{"targets": []}], "paths": paths}
    (roots.binary / REPLY / "codemodel-v2-2.json").write_text(json.dumps(newer))
    assert len(read_unit_graph(roots, TUNING)) == 0


def test_without_a_reply_it_says_what_is_missing(tmp_path):
    with pytest.raises(NativeBuildError, match="file-api reply") as caught:
        read_unit_graph(Roots(tmp_path / "s", tmp_path / "b"), TUNING)
    assert "cmake" in caught.value.hint


def test_a_file_of_nowhere_is_refused(tmp_path):
    with pytest.raises(NativeBuildError, match=r"outside its tree: /elsewhere/a\.cpp"):
        Roots(tmp_path / "s", tmp_path / "b").unit_id(Path("/elsewhere/a.cpp"))


def test_a_build_folder_inside_of_the_tree_is_still_generated(tmp_path):
    roots = Roots(tmp_path, tmp_path / "build")
    assert roots.unit_id(tmp_path / "build/x.cpp") == "generated/x.cpp"
    assert roots.unit_id(tmp_path / "c10/x.cpp") == "c10/x.cpp"


@pytest.mark.parametrize("place", ["elsewhere/cache", "my cache/inside"])
def test_a_cache_that_was_moved_is_read_as_if_it_had_been_configured_there(roots, tmp_path, place):
    before = read_unit_graph(roots, TUNING)
    target = tmp_path / "new place"
    roots.cache.rename(target)
    (tmp_path / place).parent.mkdir(parents=True)
    target.rename(tmp_path / place)
    cache = tmp_path / place
    moved = Roots(cache / "sources/a tree", cache / "native/key/build")
    after = read_unit_graph(moved, TUNING)
    assert sorted(after.units) == sorted(before.units)
    for unit_id, unit in before.units.items():
        now = after.units[unit_id]
        texts = (unit.source, *unit.flags)
        assert (now.source, *now.flags) == tuple(
            text.replace(str(roots.cache), str(cache)) for text in texts
        )


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("/c/sources/t/a.cpp", "/new/sources/t/a.cpp"),
        ("/c/native/k/.builder-x/b.h", "/new/native/k/configured/b.h"),
        ("-I/c/sdk", "-I/new/sdk"),
        ("-isystem/c/sdk", "-isystem/new/sdk"),
        ("-fmap=/c/native/k/.builder-x=/c", "-fmap=/new/native/k/configured=/new"),
        ('-DPATH="/c/x"', '-DPATH="/new/x"'),
        ("/c", "/new"),
        # Other folders that only look alike:
        ("/usr/c/include", "/usr/c/include"),
        ("/cc/include", "/cc/include"),
        ("-I/home/c", "-I/home/c"),
        ("-O2", "-O2"),
    ],
)
def test_only_whole_paths_are_relocated(text, moved):
    then = Roots(Path("/c/sources/t"), Path("/c/native/k/.builder-x"))
    now = Roots(Path("/new/sources/t"), Path("/new/native/k/configured"))
    assert Relocation(then, now).apply(text) == moved
    assert Relocation(now, now).apply(text) == text
