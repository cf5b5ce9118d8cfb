"""A build whose results are there already does nothing; any difference makes it build again."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_link, make_list, make_manifest, make_plan, make_toolchain

from builder.api import (
    AarOptions,
    BuildRequest,
    PackageOptions,
    ProductBuild,
    build,
    build_products,
    builds,
    finished,
    link,
)
from builder.api.link import PlannedTarget
from builder.core.artifacts import SizeReport
from builder.core.cores import Core
from builder.core.model_facts import ModelOrigin
from builder.core.plan import Interface
from builder.core.sources import SourceTree
from builder.core.targets import parse_target
from builder.errors import ConfigurationError, SourceError
from builder.native import interfaces
from builder.native.build_folders import Layout
from builder.native.interfaces import find_library
from builder.packaging.result_folder import result_folder
from builder.packaging.runtime_folder import write_package
from builder.platforms.android import build as android
from builder.platforms.android.build import AarResult
from builder.platforms.android.package import Coordinates
from builder.platforms.android.repository import _write_versions, locate_aar
from builder.platforms.results import LibraryResult, TargetResult
from builder.system.folders import data_folder
from builder.system.listings import seal
from builder.system.progress import Silent
from builder.verify.policy import PolicyReport

LINUX, OTHER, ANDROID, ANDROID_32 = map(
    parse_target, ("linux-x86_64", "linux-aarch64", "arm64-v8a", "armeabi-v7a")
)
SIZE = SizeReport(file=7, compressed=3, sections={}, parts={}, units={"c10/a.cpp": 7})
REQUEST = BuildRequest(inputs=(Path("m.ptl"),))


class Builder:
    """Builds by writing a small package; counts how often, and may be told another plan."""

    def __init__(self, folder):
        self.folder, self.built, self.changes, self.own = folder, [], {}, "1" * 64
        self.batches = []

    def plan(self, request, target, interface, *, progress):
        toolchain = make_toolchain(target=target)
        return PlannedTarget(plan=make_plan(target=target, **self.changes), toolchain=toolchain)

    @contextmanager
    def link(self, wanted, *, progress):
        # What is linked is not looked at here.
        self.batches.append([one.title for one in wanted])
        yield tuple({} for _ in wanted)

    def build(self, group, planned, linked, started):
        output, interfaces = group.build.output, group.interfaces
        self.built.append(planned.plan.target.abi)
        work, target = self.folder / "work", planned.plan.target
        work.mkdir(exist_ok=True)
        library = work / find_library(Interface.C, Core.UPSTREAM).name_for(target)
        library.write_text(planned.plan.key)
        (work / "torchlite-run").write_text("#!")
        linked = make_link(work, rounds=3, library=library, link_name="libtorchlite.so")
        manifest = make_manifest(abi=target.abi, plan_key=planned.plan.key)
        package = write_package(
            output / target.abi,
            linked,
            manifest=manifest,
            size=SIZE,
            references=None,
            operator_list="operators: {}\n",
            cmake=data_folder("cmake"),
            licences={},
        )
        described = LibraryResult(
            linked=linked,
            plan=planned.plan,
            toolchain=planned.toolchain,
            size=SIZE,
            manifest=manifest,
            components=(),
            carried_components=(),
            licences={},
            headers={},
        )
        return TargetResult(
            package=package,
            libraries=dict.fromkeys(interfaces, described),
            logs=work,
            skipped=("aten::odd",),
        )

    def write_aar(self, runtimes, output, *, options, assets, page_size, progress):
        self.built.append("aar")
        coordinates = Coordinates(version=options.version or "2.6.0-1")
        written = locate_aar(coordinates, output)
        with result_folder(written.folder) as folder:
            (folder / written.aar.name).write_text("aar")
            (folder / f"{coordinates.stem}.pom").write_text("pom")
        _write_versions(coordinates, written.folder.parent)
        report = PolicyReport(files=("a.so",), rules=("relro",), min_api=21, findings=())
        sizes = {one.plan.target.abi: replace(SIZE, file=8) for one in runtimes}
        return AarResult(written=written, sizes=sizes, report=report)

    def run(self, output, *targets, request=REQUEST, options=None):
        """Returns what was built, and the report."""
        self.built = []
        report = build(request, targets or (LINUX,), output, options, progress=Silent())
        return self.built, report


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def builder(tmp_path, monkeypatch):
    made = Builder(tmp_path)
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(builds, "plan_target", made.plan)
    monkeypatch.setattr(builds, "link_libraries", made.link)
    monkeypatch.setattr(builds, "_package", made.build)
    monkeypatch.setattr(builds, "refuse_edited_trees", lambda _: None)
    monkeypatch.setattr(android, "write_package", made.write_aar)
    jdk = type("Jdk", (), {"version": "javac 17"})
    for module in (android, finished):
        monkeypatch.setattr(module, "locate_jdk", lambda _: jdk)
    monkeypatch.setattr(finished, "digest_own_files", lambda: made.own)
    return made


def test_the_second_build_does_nothing_and_says_the_same(builder, tmp_path):
    built, first = builder.run(tmp_path / "out")
    assert built == ["linux-x86_64"]
    before = {p: p.stat().st_ctime_ns for p in (tmp_path / "out").rglob("*")}
    built, second = builder.run(tmp_path / "out")
    assert built == []
    assert {p: p.stat().st_ctime_ns for p in (tmp_path / "out").rglob("*")} == before
    (one,), (other,) = first.runtimes, second.runtimes
    assert (one.is_reused, other.is_reused) == (False, True)
    assert other.units_compiled == 0
    logs = other.logs
    assert replace(other, is_reused=False, units_compiled=1, logs=one.logs) == replace(
        one, seconds=0.0
    )
    assert logs.name == "logs"


def test_products_and_targets_are_made_together_and_equal_plans_in_turn(builder, tmp_path):
    def product(name, *targets, **changes):
        request = replace(REQUEST, **changes)
        return ProductBuild(request=request, targets=targets, output=tmp_path / name, name=name)

    products = [product("a", LINUX, OTHER), product("b", LINUX), product("c", OTHER, jobs=3)]
    reports = build_products(products, progress=Silent())
    # The plan of b for Linux is that of a, and c has jobs of its own.
    assert builder.batches == [["a linux-x86_64", "a linux-aarch64"], [""], [""]]
    found = [[one.plan.target for one in report.runtimes] for report in reports]
    assert found == [[LINUX, OTHER], [LINUX], [OTHER]]
    builder.batches.clear()
    shutil.rmtree(tmp_path / "b/linux-x86_64")
    build_products(products, progress=Silent())
    assert builder.batches == [[""]]


def test_every_target_of_linux_is_looked_at_alone(builder, tmp_path):
    builder.run(tmp_path / "out", OTHER)
    built, report = builder.run(tmp_path / "out", LINUX, OTHER)
    assert built == ["linux-x86_64"]
    assert [one.plan.target for one in report.runtimes] == [LINUX, OTHER]


def test_another_output_folder_is_written(builder, tmp_path):
    builder.run(tmp_path / "out")
    assert builder.run(tmp_path / "other")[0] == ["linux-x86_64"]
    assert builder.run(tmp_path / "out")[0] == []
    assert builder.run(tmp_path / "other")[0] == []


def test_what_is_missing_is_written_again(builder, tmp_path):
    builder.run(tmp_path / "out")
    root = tmp_path / "out/linux-x86_64"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        if path.name == "manifest.json":  # then nothing says that the other files are builder's
            with pytest.raises(ConfigurationError):
                builder.run(tmp_path / "out")
            path.write_bytes(content)
            continue
        assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"], path
        assert path.is_file()


def test_a_runner_that_cannot_run_is_written_again(builder, tmp_path):
    builder.run(tmp_path / "out")
    (tmp_path / "out/linux-x86_64/bin/torchlite-run").chmod(0o644)
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


def test_permissions_and_empty_folders_are_as_they_were_written(builder, tmp_path):
    builder.run(tmp_path / "out")
    root = tmp_path / "out/linux-x86_64"
    header = next(root.rglob("*.h"))
    mode = header.stat().st_mode & 0o777
    header.chmod(0o600)
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]
    assert next(root.rglob("*.h")).stat().st_mode & 0o777 == mode
    assert builder.run(tmp_path / "out")[0] == []
    builder.run(tmp_path / "out", ANDROID)
    package = next((tmp_path / "out/maven").rglob("*.aar")).parent
    for folder, targets in ((root / "lib/mine", ()), (package / "mine", (ANDROID,))):
        folder.mkdir()
        with pytest.raises(ConfigurationError, match=r"not builder's: .*mine"):
            builder.run(tmp_path / "out", *targets)
        folder.rmdir()
        assert builder.run(tmp_path / "out", *targets)[0] == []


def test_generated_sources_that_were_edited_are_named(builder, tmp_path):
    _, report = builder.run(tmp_path / "out")
    layout = Layout.of(tmp_path / "cache", report.runtimes[0].plan)
    layout.configured.mkdir(parents=True)
    (layout.configured / "a.cpp").write_text("int f();")
    layout.configured_listing.write_text(seal(layout.configured, layout.configured_stamps))
    layout.configured_marker.touch()

    def notes():
        progress = Notes()
        assert build(REQUEST, (LINUX,), tmp_path / "out", progress=progress).runtimes[0].is_reused
        return "\n".join(progress.notes)

    assert "was changed" not in notes()
    (layout.configured / "a.cpp").write_text("int g();")
    said = notes()
    assert "in the next build that compiles anything" in said
    assert "a.cpp" in said
    assert "up to date" in said


def test_a_file_that_was_changed_is_refused_as_ever(builder, tmp_path):
    builder.run(tmp_path / "out")
    library = tmp_path / "out/linux-x86_64/lib/libtorchlite.so.1"
    library.write_text("other".ljust(library.stat().st_size))
    with pytest.raises(ConfigurationError, match=r"changed since then: lib/libtorchlite\.so\.1"):
        builder.run(tmp_path / "out")


def test_the_manifest_alone_proves_nothing(builder, tmp_path):
    """A folder that somebody else made whole, such as one of another builder, is no answer."""
    builder.run(tmp_path / "out")
    (tmp_path / "cache/finished").rename(tmp_path / "aside")
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"runtimes": {}, "schema": 1}'])
def test_a_damaged_record_is_no_record(builder, tmp_path, text):
    builder.run(tmp_path / "out")
    (record,) = (tmp_path / "cache/finished").iterdir()
    record.write_text(text)
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]
    assert builder.run(tmp_path / "out")[0] == []


@pytest.mark.parametrize("library", ["torchlite.h", "manifest.json", "../victim.so", "/victim"])
def test_no_record_chooses_the_library(builder, tmp_path, library):
    """What is taken for the library goes into apps, so a record does not name it."""
    _, first = builder.run(tmp_path / "out")
    (record,) = (tmp_path / "cache/finished").iterdir()
    assert "lib/" not in record.read_text()
    value = json.loads(record.read_text())
    value["runtimes"]["linux-x86_64"]["path_of_library"] = library
    record.write_text(json.dumps(value))
    built, again = builder.run(tmp_path / "out")
    assert built == []
    library = tmp_path / "out/linux-x86_64/lib/libtorchlite.so.1"
    assert again.runtimes[0].package.library == first.runtimes[0].package.library == library


def test_a_runtime_with_a_library_of_another_name_is_built_again(builder, tmp_path, monkeypatch):
    builder.run(tmp_path / "out")
    monkeypatch.setattr(interfaces, "ABI_VERSION", 2)
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


def test_a_pipe_in_place_of_a_record_is_no_record(builder, tmp_path):
    builder.run(tmp_path / "out")
    (record,) = (tmp_path / "cache/finished").iterdir()
    record.unlink()
    os.mkfifo(record)
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


def test_a_manifest_that_is_a_link_or_a_pipe_proves_nothing(builder, tmp_path):
    builder.run(tmp_path / "out")
    manifest = tmp_path / "out/linux-x86_64/manifest.json"
    manifest.rename(tmp_path / "aside.json")
    manifest.symlink_to(tmp_path / "aside.json")
    with pytest.raises(ConfigurationError, match=r"not written by builder: manifest\.json"):
        builder.run(tmp_path / "out")
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(ConfigurationError, match="not written by builder"):
        builder.run(tmp_path / "out")


@pytest.mark.parametrize(
    "changes",
    [
        {"operator_list": make_list("aten::relu")},
        {"native_digest": "8" * 64},
        {"toolchain": ("clang 20",)},
        # The same operators of a model with other contents: the manifest names its digest.
        {
            "operator_list": replace(
                make_list("aten::add.Tensor", "aten::relu"),
                models=(ModelOrigin("m.ptl", "b" * 64, 8),),
            )
        },
    ],
)
def test_another_plan_is_built(builder, tmp_path, changes):
    builder.run(tmp_path / "out")
    builder.changes = changes
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


def test_another_builder_builds(builder, tmp_path):
    builder.run(tmp_path / "out")
    builder.own = "2" * 64
    assert builder.run(tmp_path / "out")[0] == ["linux-x86_64"]


def test_an_edited_source_is_noticed_though_there_is_nothing_to_do(builder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    tree = SourceTree(root=tmp_path, version="2.6.0", digest="5" * 64)
    seen = []

    def refuse(release, tree, *, feature):
        seen.append(feature)
        if feature == "vision":
            raise SourceError("changed: a.cpp")

    monkeypatch.setattr(link, "find_sources", lambda release, feature: tree)
    monkeypatch.setattr(link, "refuse_changed_sources", refuse)
    plan = make_plan(features=(("vision", "9" * 64),))
    with pytest.raises(SourceError, match=r"a\.cpp"):
        link.refuse_edited_trees(PlannedTarget(plan=plan, toolchain=make_toolchain()))
    assert seen == ["", "vision"]


def test_an_error_about_sources_comes_through(builder, tmp_path, monkeypatch):
    builder.run(tmp_path / "out")

    def refuse(_):
        raise SourceError("changed: a.cpp")

    monkeypatch.setattr(builds, "refuse_edited_trees", refuse)
    with pytest.raises(SourceError, match=r"a\.cpp"):
        builder.run(tmp_path / "out")


def test_an_aar_is_whole_or_all_of_it_is_built(builder, tmp_path):
    out, both = tmp_path / "out", (ANDROID, ANDROID_32)
    built, first = builder.run(out, *both)
    assert built == ["arm64-v8a", "armeabi-v7a", "aar"]
    built, second = builder.run(out, *both)
    assert built == []
    assert second.aar == first.aar
    assert [one.is_reused for one in second.runtimes] == [True, True]
    # One ABI less is another AAR.
    assert builder.run(out, ANDROID)[0] == ["arm64-v8a", "aar"]
    first.aar.written.aar.unlink()
    assert builder.run(out, ANDROID)[0] == ["arm64-v8a", "aar"]
    (first.aar.written.folder.parent / "maven-metadata.xml").unlink()
    assert builder.run(out, ANDROID)[0] == ["arm64-v8a", "aar"]
    assert builder.run(out, ANDROID)[0] == []


def test_options_and_assets_make_another_aar(builder, tmp_path):
    out, asset = tmp_path / "out", tmp_path / "m.ptl"
    asset.write_text("one")
    with_asset = PackageOptions(assets=(asset,))
    for options in (PackageOptions(), with_asset, PackageOptions(android=AarOptions(version="7"))):
        assert builder.run(out, ANDROID, options=options)[0] == ["arm64-v8a", "aar"]
        assert builder.run(out, ANDROID, options=options)[0] == []
    builder.run(out, ANDROID, options=with_asset)
    asset.write_text("two")
    assert builder.run(out, ANDROID, options=with_asset)[0] == ["arm64-v8a", "aar"]


def test_interfaces_count(builder):
    planned = [builder.plan(REQUEST, ANDROID, Interface.C, progress=Silent())]
    names = {
        finished.name_build(planned, interfaces, REQUEST, PackageOptions())
        for interfaces in ((Interface.C,), (Interface.C, Interface.JNI))
    }
    assert len(names) == 2
