from pathlib import Path

import pytest
from samples import make_tool
from toolchains.machines import Machine, full

from builder.core.targets import TARGETS, Platform, Target, parse_target
from builder.core.toolchain import GnuLibraries
from builder.errors import ToolchainError
from builder.platforms.linux import toolchain as host
from builder.platforms.linux.toolchain import (
    find_host_target,
    locate_host_toolchain,
    pack_relocations,
    parse_library_versions,
)

HERE = parse_target("linux-x86_64")


def test_a_whole_toolchain_is_described_by_versions_not_paths():
    found = locate_host_toolchain(Machine(full()), HERE)
    assert found.cc.version == "Debian clang version 14.0.6"
    assert found.cxx.version == "Debian clang version 14.0.6, libstdc++ 20220819, glibc 2.36"
    assert found.gnu == GnuLibraries(libstdcxx=20220819, glibc=(2, 36))
    assert found.linker.path == Path("/usr/bin/ld.lld")
    assert not any("/" in part for part in found.fingerprint)


def test_the_compiler_is_tried_with_the_very_linker():
    machine = Machine(full())
    locate_host_toolchain(machine, HERE)
    assert any("--ld-path=/usr/bin/ld.lld" in command for command in machine.commands)


def test_a_compiler_without_its_library_names_the_package():
    said = "fatal error: 'string' file not found\n"
    verbose = "Selected GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/12\n"
    machine = Machine(full(), build=(1, said), verbose=verbose)
    with pytest.raises(ToolchainError, match="'string' file not found") as caught:
        locate_host_toolchain(machine, HERE)
    assert caught.value.hint == "apt install libstdc++-12-dev"


def test_an_unknown_c_library_is_refused():
    with pytest.raises(ToolchainError):
        parse_library_versions("version[] = {__GLIBCXX__, __GLIBC__, __GLIBC_MINOR__};")


@pytest.mark.parametrize(
    ("glibc", "lld", "packed"),
    [((2, 36), "LLD 15.0.7", True), ((2, 35), "LLD 19.1.7", False), ((2, 41), "LLD 14.0.6", False)],
)
def test_relocations_are_packed_where_glibc_and_lld_know_how(glibc, lld, packed):
    libraries = GnuLibraries(libstdcxx=20220819, glibc=glibc)
    assert bool(pack_relocations(libraries, make_tool("ld.lld", lld))) is packed


def test_another_processor_is_told_to_clang_and_cmake():
    machine = Machine(full())
    found = locate_host_toolchain(machine, parse_target("linux-aarch64"))
    assert found.system_flags == ("--target=aarch64-linux-gnu",)
    assert any("--target=aarch64-linux-gnu" in command for command in machine.commands)
    assert dict(found.configuration)["CMAKE_SYSTEM_PROCESSOR"] == "arm64"
    assert "--target=aarch64-linux-gnu" in found.fingerprint


def test_this_processor_needs_no_telling():
    found = locate_host_toolchain(Machine(full()), HERE)
    assert (found.system_flags, found.configuration) == ((), ())


def test_without_the_other_processors_library_the_package_is_named():
    machine = Machine(full(), build=(1, "fatal error: 'string' file not found\n"))
    with pytest.raises(ToolchainError, match="for linux-aarch64") as caught:
        locate_host_toolchain(machine, parse_target("linux-aarch64"))
    assert caught.value.hint == "apt install g++-aarch64-linux-gnu"


def test_another_system_cannot_build(monkeypatch):
    monkeypatch.setattr(host.sys, "platform", "darwin")
    with pytest.raises(ToolchainError, match="not supported yet") as caught:
        locate_host_toolchain(Machine(full()), HERE)
    assert "doctor()" in caught.value.hint


@pytest.mark.parametrize(
    ("system", "machine", "abi"),
    [
        ("linux", "aarch64", "linux-aarch64"),
        ("linux", "arm64", "linux-aarch64"),
        ("linux", "amd64", "linux-x86_64"),
        ("linux", "riscv64", "None"),
        ("darwin", "arm64", "None"),
    ],
)
def test_the_host_target(monkeypatch, system, machine, abi):
    monkeypatch.setattr(host.platform, "machine", lambda: machine)
    monkeypatch.setattr(host.sys, "platform", system)
    assert str(find_host_target(TARGETS)) == abi


def test_targets_are_named_by_platform_and_architecture():
    assert Target(platform=Platform.LINUX, architecture="x86_64") == HERE
