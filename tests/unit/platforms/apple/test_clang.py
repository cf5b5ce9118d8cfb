from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toolchains.machines import CLANG_14, CLANG_19, LLD_19, Machine, full

from builder.core.targets import parse_target
from builder.core.toolchain import AppleSdk, CxxLibrary, ToolchainOptions
from builder.errors import ToolchainError
from builder.platforms.apple import toolchain
from builder.platforms.apple.clang import locate_apple_toolchain
from builder.sources.releases import load_release
from builder.system.process import Runner
from builder.system.progress import Silent

DEVICE, SIMULATOR = parse_target("ios-arm64"), parse_target("ios-simulator-arm64")
OPEN = AppleSdk(root=Path("/c/my sdk"), name="open headers 12ab", newest=160900, is_open=True)
LLVM = "Debian LLVM version 19.1.7\n"
CMAKE = Path("/builder/cmake/apple/ios.cmake")


def machine(**changes):
    programs = full(clang=CLANG_19, **{
        "clang++": CLANG_19, "ld64.lld": LLD_19, "llvm-strip": LLVM, "llvm-libtool-darwin": LLVM,
    })  # fmt: skip
    return Machine(programs, **changes)


def locate(target=DEVICE, sdk=OPEN, there=None):
    return locate_apple_toolchain(there or machine(), target, sdk, cmake_file=CMAKE)


def test_clang_compiles_for_the_platform_and_its_version():
    there = machine()
    found = locate(replace(SIMULATOR, min_os=150200), there=there)
    assert found.system_flags[0] == "--target=arm64-apple-ios15.2-simulator"
    assert found.cxx_library is CxxLibrary.SYSTEM
    assert (found.linker.name, found.archiver.name) == ("ld64.lld", "llvm-libtool-darwin")
    assert "-framework" in found.frameworks
    (probe,) = (command for command in there.commands if "-dynamiclib" in command)
    assert "--target=arm64-apple-ios15.2-simulator" in probe
    assert f"--ld-path={found.linker.path}" in probe


def test_no_path_decides_the_bytes():
    found = locate()
    assert not any("my sdk" in part for part in (*found.fingerprint, *found.link_flags))
    assert "ios-arm64-14.0" in found.fingerprint
    assert any("open headers 12ab" in part for part in found.fingerprint)


def test_open_headers_are_told_what_a_vendor_would_have_told_them():
    assert "-D_LIBCPP_ABI_NAMESPACE=__1" in locate().system_flags
    real = replace(OPEN, name="iphoneos17.2", is_open=False)
    headers = ("-nostdinc++", "-isystem", "/c/my sdk/usr/include/c++/v1")
    assert locate(sdk=real).system_flags[1:] == ("-isysroot", "/c/my sdk", *headers)


def test_cmake_is_told_the_architecture_and_no_deployment_target_of_its_own():
    settings = dict(locate().configuration)
    assert settings["CMAKE_TOOLCHAIN_FILE"] == str(CMAKE)
    assert (settings["IOS_ARCH"], settings["CMAKE_OSX_SYSROOT"]) == ("arm64", "/c/my sdk")
    assert "--target=arm64-apple-ios14.0" in settings["TORCHLITE_FLAGS"]
    assert "-isysroot" not in settings["TORCHLITE_FLAGS"]


@pytest.mark.parametrize("name", ["ld64.lld", "llvm-strip", "llvm-libtool-darwin"])
def test_a_tool_of_llvm_that_is_missing_is_named(name):
    there = machine()
    del there.programs[name]
    with pytest.raises(ToolchainError, match=f"no {name} of LLVM 19") as caught:
        locate(there=there)
    assert "apt install clang lld llvm" in caught.value.hint


def test_tools_of_another_release_do_not_count():
    there = machine()
    there.programs["ld64.lld"] = "LLD 16.0.6\n"
    with pytest.raises(ToolchainError, match=r"no ld64.lld of LLVM 19"):
        locate(there=there)


def test_an_old_clang_and_no_clang_are_refused():
    old = machine()
    old.programs |= {"clang": CLANG_14, "clang++": CLANG_14}
    with pytest.raises(ToolchainError, match="needs clang 16 or newer"):
        locate(there=old)
    with pytest.raises(ToolchainError, match="there is no clang on PATH"):
        locate(there=Machine({}))


def test_compilers_that_do_not_work_say_what_they_said():
    there = machine(build=(1, "fatal error: 'string' file not found\n"))
    with pytest.raises(ToolchainError, match="'string' file not found") as caught:
        locate(there=there)
    assert "ios-arm64 14.0 with open headers 12ab" in caught.value.message


def test_open_headers_are_not_fetched_for_a_machine_without_the_tools(monkeypatch):
    there, fetched = machine(), []
    monkeypatch.setattr(toolchain, "is_mac", lambda: False)
    monkeypatch.setattr(toolchain, "find_sources", lambda *_: None)
    monkeypatch.setattr(
        toolchain, "locate_sources", lambda *_, feature, **__: fetched.append(feature)
    )
    monkeypatch.setattr(Runner, "inherit_for_tools", lambda: there)

    def fetch():
        toolchain.fetch_toolchain_sources(
            load_release(), DEVICE, ToolchainOptions(), progress=Silent()
        )

    linker = there.programs.pop("ld64.lld")
    with pytest.raises(ToolchainError, match=r"no ld64.lld of LLVM 19"):
        fetch()
    assert fetched == []
    there.programs["ld64.lld"] = linker
    fetch()
    assert fetched == [toolchain.OPEN_FEATURE]
