from __future__ import annotations

from dataclasses import replace

import pytest
from toolchains.machines import LLD_16, Machine, full, make_ndk

from builder.core.targets import parse_target
from builder.core.toolchain import CxxLibrary, Stl, ToolchainOptions
from builder.errors import ConfigurationError, ToolchainError
from builder.platforms.android.toolchain import locate_ndk_toolchain

ARM64 = parse_target("arm64-v8a")
CLANG = "Android (7019983 based on r365631c3) clang version 11.0.5 (https://x/y 875)\n"
STRIP = "llvm-strip, compatible with GNU strip\nLLVM version 11.0.5\n"


@pytest.fixture
def ndk(tmp_path):
    return make_ndk(tmp_path / "my ndk")


def machine(ndk, **changes):
    programs = full(clang=CLANG, **{"clang++": CLANG, "ld.lld": LLD_16, "llvm-strip": STRIP})
    return Machine(programs, environment={"ANDROID_NDK_HOME": str(ndk)}, **changes)


def locate(ndk, target=ARM64, **options):
    return locate_ndk_toolchain(machine(ndk), target, ToolchainOptions(**options))


def test_the_compilers_are_the_ndks(ndk):
    there = machine(ndk)
    found = locate_ndk_toolchain(there, ARM64, ToolchainOptions())
    assert found.compiler_major == 11
    assert found.cxx.version.endswith("(https://x/y 875), NDK 22.0.7026061")
    assert found.system_flags[0] == "--target=aarch64-linux-android21"
    assert found.link_flags[:3] == (
        *("-static-libstdc++", "-Wl,--hash-style=both", "-Wl,-z,max-page-size=16384"),
    )
    cmake = dict(found.configuration)
    assert cmake["CMAKE_TOOLCHAIN_FILE"] == f"{ndk}/build/cmake/android.toolchain.cmake"
    assert (cmake["ANDROID_ABI"], cmake["ANDROID_PLATFORM"]) == ("arm64-v8a", "android-21")
    assert any("max-page-size=16384" in " ".join(command) for command in there.commands)


def test_no_path_decides_the_bytes(ndk):
    found = locate(ndk)
    assert not any(str(ndk) in part for part in (*found.fingerprint, *found.link_flags))
    assert "android-arm64-v8a-21" in found.fingerprint


def test_a_newer_loader_reads_packed_relocations(ndk):
    assert locate(ndk).packed_relocations == ()
    packed = locate(ndk, replace(ARM64, min_os=23)).packed_relocations
    assert packed == ("-Wl,--pack-dyn-relocs=android",)


def test_a_level_without_libraries_is_linked_with_those_of_its_alias(ndk):
    levels = '{"min": 16, "max": 30, "aliases": {"25": 24}}'
    (ndk / "meta/platforms.json").write_text(levels)
    found = locate(ndk, replace(ARM64, min_os=25))
    assert found.system_flags[0] == "--target=aarch64-linux-android24"
    assert found.target.min_os == 25
    assert dict(found.configuration)["ANDROID_PLATFORM"] == "android-25"


def test_another_page_size(ndk):
    found = locate(ndk, page_size=65536)
    assert "-Wl,-z,max-page-size=65536" in found.link_flags
    assert found.page_size == 65536
    with pytest.raises(ConfigurationError, match="5000 is not a page size"):
        locate(ndk, page_size=5000)


def test_the_shared_cxx_library_goes_beside_the_runtime(ndk):
    with pytest.raises(ToolchainError, match=r"no libc\+\+_shared.so"):
        locate(ndk, stl=Stl.SHARED)
    for host in ("linux-x86_64", "darwin-x86_64"):
        folder = ndk / "toolchains/llvm/prebuilt" / host / "sysroot/usr/lib/aarch64-linux-android"
        folder.mkdir(parents=True)
        (folder / "libc++_shared.so").touch()
    found = locate(ndk, stl=Stl.SHARED)
    assert found.cxx_library is CxxLibrary.LIBCXX_SHARED
    assert [path.name for path in found.beside] == ["libc++_shared.so"]
    assert "-static-libstdc++" not in found.link_flags


@pytest.mark.parametrize("api", [15, 31])
def test_an_api_level_that_the_ndk_does_not_know(ndk, api):
    with pytest.raises(ToolchainError, match=f"API levels 16 to 30, not {api}"):
        locate(ndk, replace(ARM64, min_os=api))


def test_an_ndk_without_its_compilers_is_named(ndk):
    there = machine(ndk)
    del there.programs["ld.lld"]
    with pytest.raises(ToolchainError, match=r"NDK 22.0.7026061 .* has no ld.lld"):
        locate_ndk_toolchain(there, ARM64, ToolchainOptions())


def test_an_ndk_that_does_not_work_says_what_the_compiler_said(ndk):
    there = machine(ndk, build=(1, "unable to find library -lc++_static\n"))
    with pytest.raises(ToolchainError, match=r"lc\+\+_static") as caught:
        locate_ndk_toolchain(there, ARM64, ToolchainOptions())
    assert "android-arm64-v8a-21" in caught.value.message
