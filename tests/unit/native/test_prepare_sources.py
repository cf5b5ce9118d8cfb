from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from samples import FakeRunner, make_patch, make_plan, make_toolchain

from builder.core.backends import Backend, Chosen, LocatedBackend
from builder.core.sources import SourceTree
from builder.errors import NativeBuildError
from builder.native import prepare_sources as preparing
from builder.native.build_folders import Layout
from builder.native.cmake_file_api import REPLY
from builder.native.job import NativeBuild
from builder.native.prepare_sources import prepare_units
from builder.system.progress import Silent

UNIT = "torch/csrc/jit/mobile/import.cpp"


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def build(tmp_path):
    cache, plan = tmp_path / "cache", make_plan()
    tree = SourceTree(root=cache / "sources/2.6.0", version="2.6.0", digest="5" * 64)
    (tree.root / UNIT).parent.mkdir(parents=True)
    (tree.root / UNIT).touch()
    layout = Layout.of(cache, plan)
    layout.root.mkdir(parents=True)
    return NativeBuild(
        plan=plan,
        tree=tree,
        toolchain=make_toolchain(),
        layout=layout,
        runtime=tmp_path,
        runner=FakeRunner(),
        progress=Notes(),
    )


@pytest.fixture(autouse=True)
def ran(monkeypatch):
    """What upstream's CMake and generators would do, in small; returns what was run."""
    runs = []

    def configure(tree, toolchain, binary, **_):
        runs.append("configure")
        target = {
            "name": "c10",
            "type": "STATIC_LIBRARY",
            "sources": [{"path": str(tree.root / UNIT), "compileGroupIndex": 0}],
            "compileGroups": [{"language": "CXX", "includes": [{"path": str(binary)}]}],
        }
        model = {
            "configurations": [{"targets": [{"name": "c10", "jsonFile": "target.json"}]}],
            "paths": {"build": str(binary), "source": str(tree.root)},
        }
        (binary / REPLY).mkdir(parents=True)
        (binary / REPLY / "target.json").write_text(json.dumps(target))
        (binary / REPLY / "codemodel-v2-1.json").write_text(json.dumps(model))
        (binary / "config.h").write_text("#define A 1\n")

    def generate(tree, toolchain, output, **_):
        runs.append("generate")
        (output / "ops.h").write_text("int op();\n")

    monkeypatch.setattr(preparing, "configure", configure)
    monkeypatch.setattr(preparing, "generate", generate)
    monkeypatch.setattr(preparing.os, "sync", lambda: None)
    monkeypatch.setattr(preparing, "free_bytes", lambda _: preparing.NEEDED_BYTES)
    return runs


def test_it_is_done_once(build, ran):
    first, second = prepare_units(build), prepare_units(build)
    assert ran == ["configure", "generate"]
    assert first.units == second.units
    assert (build.layout.configured / "ops.h").is_file()
    assert build.progress.notes == []


def test_paths_of_the_folder_that_it_was_made_in_are_in_no_unit(build):
    unit = prepare_units(build).units[UNIT]
    assert str(build.layout.configured) in unit.flags
    assert not any(".builder-" in text for text in (unit.source, *unit.flags))


def test_nothing_is_made_where_it_will_be_used(build, monkeypatch):
    seen = []
    configure = preparing.configure

    def look(tree, toolchain, binary, **others):
        configure(tree, toolchain, binary, **others)
        seen.append((binary, build.layout.configured.exists()))

    monkeypatch.setattr(preparing, "configure", look)
    prepare_units(build)
    assert seen[0][0] != build.layout.configured
    assert not seen[0][1]


def edit(layout):
    (layout.configured / "config.h").write_text("#define A 2\n")


def edit_generated(layout):
    (layout.configured / "ops.h").write_text("long op();\n")


def add(layout):
    (layout.configured / "shadow.h").touch()


def lose(layout):
    (layout.configured / "config.h").unlink()


@pytest.mark.parametrize("change", [edit, edit_generated, add, lose])
def test_what_was_changed_is_made_anew_and_said(build, ran, change):
    prepare_units(build)
    change(build.layout)
    prepare_units(build)
    assert ran == ["configure", "generate", "configure"]
    assert "was changed, so it is made again" in build.progress.notes[0]
    assert (build.layout.configured / "config.h").read_text() == "#define A 1\n"
    assert not (build.layout.configured / "shadow.h").exists()
    prepare_units(build)
    assert len(ran) == 3


def test_generated_sources_are_shared_while_they_are_as_generated(build, ran):
    prepare_units(build)
    build.layout.configured_marker.unlink()
    prepare_units(build)
    assert ran == ["configure", "generate", "configure"]
    (build.layout.generated.root / "ops.h").write_text("long op();\n")
    build.layout.configured_marker.unlink()
    prepare_units(build)
    assert ran[3:] == ["configure", "generate"]
    assert (build.layout.configured / "ops.h").read_text() == "int op();\n"


def test_a_changed_patch_of_a_shader_compiles_shaders_alone(build, ran, monkeypatch):
    compiled = []

    def compile_shaders(output, *_, patches, **__):
        compiled.append([one.text for one in patches])
        (output / "spv.cpp").write_text("")

    monkeypatch.setattr(preparing, "compile_shaders", compile_shaders)
    monkeypatch.setattr(preparing, "write_shaders", lambda *_: None)
    monkeypatch.setattr(preparing, "add_backends", lambda graph, *_, **__: graph)
    vulkan = Backend(name="gpu", label="GPU", chosen=Chosen.NEEDED, shaders="glsl")
    root = build.layout.root.parents[1]
    keys = set()
    for text in ("a", "b", "b"):
        release = replace(build.plan.release, shader_patches=(make_patch(text),))
        located = LocatedBackend(backend=vulkan, tree=build.tree)
        plan = replace(build.plan, release=release, backends=(vulkan,))
        one = replace(build, plan=plan, layout=Layout.of(root, plan), backends=(located,))
        prepare_units(one)
        keys.add((plan.objects_key, plan.key))
    assert compiled == [["a"], ["b"]]
    assert ran == ["configure", "generate"]
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["configured.json", "configured.sha256"])
def test_without_its_marker_or_listing_nothing_is_trusted(build, ran, name):
    prepare_units(build)
    (build.layout.root / name).unlink()
    prepare_units(build)
    assert ran.count("configure") == 2
    assert build.progress.notes == []


def test_a_cache_that_was_moved_is_configured_already(build, ran, tmp_path):
    before = prepare_units(build).units[UNIT]
    old, new = tmp_path / "cache", tmp_path / "another place"
    old.rename(new)
    moved = replace(
        build,
        tree=replace(build.tree, root=new / "sources/2.6.0"),
        layout=Layout.of(new, build.plan),
    )
    after = prepare_units(moved).units[UNIT]
    assert ran == ["configure", "generate"]
    assert after.source == before.source.replace(str(old), str(new))
    assert str(new / "native") in "".join(after.flags)
    assert str(old) not in "".join((after.source, *after.flags)).replace(str(new), "")
    assert (moved.layout.source / UNIT).is_file()


def test_what_killed_runs_left_is_removed(build):
    root = build.layout.root
    left = (
        root / ".builder-tmp-left_123/deep",
        root / "plans/old/unstripped/libtorchlite.so.tmp1a2b3c4",
        root / "plans/old/.builder-tmp-file_123",
        root / "objects/size/c10/a.cpp-1a2b.o.tmp",
        root / "tmp/abi-check-65f881.o",
    )
    kept = root / "objects/size/c10/a.cpp.o", root / "plans/old/unstripped/libtorchlite.so"
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    prepare_units(build)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_a_failed_configuration_leaves_nothing(build, monkeypatch):
    def fail(*_, **__):
        raise NativeBuildError("configuring PyTorch failed")

    monkeypatch.setattr(preparing, "generate", fail)
    with pytest.raises(NativeBuildError):
        prepare_units(build)
    assert not build.layout.configured.exists()
    assert list(Path(build.layout.root).glob(".builder-tmp-*")) == []


def test_too_little_space_is_said_before(build, monkeypatch, ran):
    monkeypatch.setattr(preparing, "free_bytes", lambda _: 5)
    with pytest.raises(NativeBuildError, match="5 bytes free") as caught:
        prepare_units(build)
    assert "BUILDER_CACHE" in caught.value.hint
    assert ran == []
