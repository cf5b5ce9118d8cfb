from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from samples import FakeRunner, make_plan, make_toolchain

from builder.api import link as libraries
from builder.api.link import (
    WantedLibraries,
    link_libraries,
    list_interfaces,
    plan_target,
)
from builder.core.plan import BuildRequest, Interface
from builder.core.sources import SourceTree
from builder.core.targets import parse_target
from builder.core.toolchain import ToolchainOptions
from builder.errors import (
    ModelError,
    NativeBuildError,
    PackagingError,
    SourceError,
)
from builder.native.build_folders import Layout
from builder.native.index import parse_index
from builder.native.job import NativeBuild, compile_folder
from builder.native.ledger import Ledger
from builder.platforms.linux.package import LinuxOptions
from builder.platforms.package_options import PackageOptions
from builder.sources.releases import load_release
from builder.system.progress import Silent

TARGET = parse_target("linux-x86_64")
FULL = OSError(28, "No space left on device", "somewhere")


@pytest.mark.parametrize(
    ("abi", "names"),
    [
        ("ios-arm64", ["symbols.txt", "symbols-ios.txt"]),
        ("ios-simulator-arm64", ["symbols.txt", "symbols-ios.txt"]),
        ("arm64-v8a", ["symbols.txt", "symbols-android.txt"]),
        ("linux-x86_64", ["symbols.txt"]),
    ],
)
def test_what_a_platform_defines_besides_is_in_an_index_of_its_own(abi, names):
    paths = load_release().list_indexes(parse_target(abi))
    assert [path.name for path in paths] == names
    if len(paths) > 1:
        defined = parse_index(paths[1].read_text())
        assert defined["c10::demangle"] == ["c10/util/Type_no_demangle.cpp"]


@pytest.fixture
def build(tmp_path):
    plan, toolchain = make_plan(target=TARGET), make_toolchain(target=TARGET)
    return NativeBuild(
        plan=plan,
        tree=SourceTree(root=tmp_path, version="2.6.0", digest="5" * 64),
        toolchain=toolchain,
        layout=Layout.of(tmp_path / "cache", plan),
        runtime=tmp_path,
        runner=FakeRunner(),
        progress=Silent(),
    )


@pytest.fixture
def cache(build, tmp_path, monkeypatch):
    """A cache in which a build may begin."""
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(libraries, "locate_toolchain", lambda *_, **__: build.toolchain)

    def plan(*_, find_versions, **__):
        find_versions(())
        return build.plan

    monkeypatch.setattr(libraries, "plan_with_versions", plan)
    monkeypatch.setattr(libraries, "make_native_build", lambda *_, **__: build)
    return tmp_path / "cache"


def link():
    request = BuildRequest(inputs=(Path("m.ptl"),), tools=ToolchainOptions(launcher="none"))
    planned = plan_target(request, TARGET, Interface.C, progress=Silent())
    wanted = WantedLibraries(planned=planned, request=request, interfaces=[Interface.C])
    with link_libraries([wanted], progress=Silent()):
        pytest.fail("nothing can be linked here")


def test_a_library_for_java_stands_beside_that_of_the_c_api():
    options = PackageOptions(linux=LinuxOptions(jni=True))
    assert list_interfaces(TARGET, options) == (Interface.C, Interface.JNI)
    assert list_interfaces(TARGET, PackageOptions()) == (Interface.C,)


@pytest.mark.parametrize(
    "error", [FULL, shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])]
)
def test_a_full_cache_is_a_failed_build_that_names_it(cache, monkeypatch, error):
    def full(_):
        raise error

    monkeypatch.setattr(libraries, "prepare_units", full)
    with pytest.raises(NativeBuildError, match="no space is left for") as caught:
        link()
    assert str(cache) in caught.value.message
    assert "BUILDER_CACHE" in caught.value.hint
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("error", [PackagingError("out is full"), SourceError("edited")])
def test_other_failures_pass_as_they_are(cache, monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(libraries, "prepare_units", fail)
    with pytest.raises(type(error), match=error.message):
        link()


def test_what_was_compiled_from_an_edited_source_is_not_used_again(build, monkeypatch):
    def refuse(release, tree, *, feature):
        raise SourceError("changed: c10/a.cpp")

    folder = compile_folder(build)
    compiled = folder.find_object("c10/a.cpp")
    compiled.parent.mkdir(parents=True)
    compiled.write_text("compiled from an edited source")
    Ledger(folder).record("c10/a.cpp")
    monkeypatch.setattr(libraries, "refuse_changed_sources", refuse)
    with pytest.raises(SourceError, match=r"c10/a\.cpp"):
        libraries._refuse_changed_sources(build)
    assert Ledger(folder).drop_wrong(["c10/a.cpp"]).unknown == ("c10/a.cpp",)
    assert not compiled.exists()


def plan_offline(monkeypatch, tmp_path, abi, *operators, **changes):
    """Plans a build of an operator list where nothing can be fetched, and no tool is looked for."""

    def refuse(*_, **__):
        pytest.fail("something was fetched or looked for")

    for name in ("locate_toolchain", "platform_of"):
        monkeypatch.setattr(libraries, name, refuse)
    path = tmp_path / "ops.txt"
    path.write_text("".join(f"{one}\n" for one in operators))
    request = BuildRequest(inputs=(path,), **changes)
    return plan_target(request, parse_target(abi), Interface.C, progress=Silent())


@pytest.mark.parametrize(
    ("abi", "operator", "reason"),
    [
        ("ios-arm64", "vulkan_prepack::run_conv2d_context", "runs on Vulkan, which ios-arm64"),
        ("ios-arm64", "aten::addd.Tensor", "did you mean aten::add.Tensor"),
        ("linux-x86_64", "metal_prepack::conv2d_run", "it runs on Metal"),
        ("linux-x86_64", "mine::custom", "does not exist"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_fetched(
    monkeypatch, tmp_path, abi, operator, reason
):
    with pytest.raises(ModelError, match=reason):
        plan_offline(monkeypatch, tmp_path, abi, "aten::relu", operator)


def test_operators_that_are_left_out_refuse_nothing(monkeypatch, tmp_path):
    # The toolchain is asked for, so nothing was refused.
    for names, skip in ((["mine::custom"], True), (["aten::_coalesce", "aten::len.t"], False)):
        with pytest.raises(pytest.fail.Exception, match="looked for"):
            plan_offline(
                monkeypatch, tmp_path, "linux-x86_64", "aten::relu", *names, skip_unknown=skip
            )
