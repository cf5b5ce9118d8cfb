from pathlib import Path

import pytest
from samples import make_release, make_toolchain
from toolchains.machines import CLANG_13, GCC, Machine, full

from builder.api.diagnosis import inspect_targets, inspect_tools
from builder.core.targets import TARGETS
from builder.core.toolchain import AppleSdk, Bitcode
from builder.errors import ToolchainError
from builder.platforms.apple import platform as apple

RELEASE = make_release()


@pytest.fixture
def without_sdk(monkeypatch):
    def refuse(runner, release, target, options):
        raise ToolchainError(f"no SDK for {target}", hint="builder fetch --feature apple")

    monkeypatch.setattr(apple, "locate_toolchain", refuse)


@pytest.fixture
def with_sdk(monkeypatch):
    def locate(runner, release, target, options):
        sdk = AppleSdk(root=Path("/sdk"), name="open headers", newest=160000, is_open=True)
        return make_toolchain(target=target, sdk=sdk, bitcode=Bitcode.BESIDE)

    monkeypatch.setattr(apple, "locate_toolchain", locate)


def test_doctor_lists_every_target_and_what_is_missing(without_sdk):
    found = {f.subject: f for f in inspect_targets(Machine({"gcc": GCC}), RELEASE)}
    assert set(found) == {f"target {t}" for t in TARGETS}
    assert found["target ios-arm64"].remedy == "builder fetch --feature apple"
    assert found["target linux-x86_64"].remedy.startswith("apt install clang")
    assert found["target arm64-v8a"].detail == "needs an Android NDK, see ndk above"


def test_doctor_finds_a_host_that_can_build(with_sdk):
    found = {f.subject: f for f in inspect_targets(Machine(full()), RELEASE)}
    assert found["target linux-x86_64"].ok
    assert found["target linux-aarch64"].ok
    assert found["target ios-arm64"].detail.startswith("can be built here, experimental: ")


def test_doctor_says_where_there_is_no_link_time_optimisation(with_sdk):
    old = full(clang=CLANG_13, **{"clang++": CLANG_13})
    found = {f.subject: f for f in inspect_targets(Machine(old), RELEASE)}
    without = "can be built here, without link-time optimisation: "
    assert found["target linux-x86_64"].detail.startswith(without)


def test_doctor_lists_programs():
    found = {f.subject: f for f in inspect_tools(Machine(full(ccache="ccache version 4.7.5\n")))}
    assert found["clang"].detail == "Debian clang version 14.0.6 (/usr/bin/clang)"
    assert found["launchers"].detail == "ccache version 4.7.5 (/usr/bin/ccache)"
    assert {f.subject for f in found.values() if not f.ok} == {
        *("ndk", "jdk", "glslc", "vulkan headers"),
    }
    assert found["glslc"].remedy == "apt install glslc"
    assert "ANDROID_NDK_HOME" in found["ndk"].remedy
    assert not all(f.ok for f in inspect_tools(Machine({})))
