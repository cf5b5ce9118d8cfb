from pathlib import Path

import pytest

from builder.core.targets import TARGETS, Platform, Target, parse_target
from builder.errors import NativeBuildError, ToolchainError
from builder.system.process import Completed
from builder.toolchains import host
from builder.toolchains.findings import inspect_targets, inspect_tools
from builder.toolchains.host import (
    find_host_target,
    find_major,
    locate_clang,
    locate_clang_plus,
    locate_host_toolchain,
    locate_linker,
    locate_strip,
    parse_library_versions,
    parse_version,
)

CLANG_14 = "Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n"
CLANG_19 = "Ubuntu clang version 19.1.7 (++20250114)\nTarget: x86_64-pc-linux-gnu\n"
LLD_14 = "Debian LLD 14.0.6 (compatible with GNU linkers)\n"
LLD_16 = "LLD 16.0.6 (compatible with GNU linkers)\n"
LLD_19 = "Ubuntu LLD 19.1.7 (compatible with GNU linkers)\n"
GCC = "gcc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022\n"
STRIP_14 = "llvm-strip, compatible with GNU strip\nDebian LLVM version 14.0.6\n"
STRIP_GNU = "GNU strip (GNU Binutils for Debian) 2.40\n"
EXPANDED = "std::string probed();\nconst long long version[] = {20220819, 2, 36};\n"
HERE = parse_target("linux-x86_64")


class Machine:
    """A runner whose PATH has the given programs with their `--version` output."""

    def __init__(self, programs, *, build=(0, ""), expanded=EXPANDED, verbose=""):
        self.programs = programs
        self.build = build
        self.expanded = expanded
        self.verbose = verbose
        self.environment = {}
        self.commands = []

    def find_program(self, name):
        base = name.rpartition("/")[2]
        return Path("/usr/bin", base) if base in self.programs else None

    def run(self, command):
        self.commands.append(command)
        if "--version" in command:
            output = self.programs[command[0].rpartition("/")[2]]
            if output is None:
                raise NativeBuildError("cannot start")
            return Completed(0, output)
        if "-E" in command:
            return Completed(0, self.expanded)
        if "-v" in command:
            return Completed(0, self.verbose)
        return Completed(*self.build)


def full(**more):
    return {
        "clang": CLANG_14, "clang++": CLANG_14, "ld.lld": LLD_14, "strip": STRIP_GNU,
        "cmake": "cmake version 3.25.1\n", "ninja": "1.11.1\n", **more,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    monkeypatch.setattr(host.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host.sys, "platform", "linux")


def test_a_whole_toolchain_is_described_by_versions_not_paths():
    found = locate_host_toolchain(Machine(full()), HERE)
    assert found.cc.version == "Debian clang version 14.0.6"
    assert found.cxx.version == "Debian clang version 14.0.6, libstdc++ 20220819, glibc 2.36"
    assert found.linker.path == Path("/usr/bin/ld.lld")
    assert not any("/" in part for part in found.fingerprint)


def test_the_compiler_is_tried_with_the_very_linker():
    machine = Machine(full())
    locate_host_toolchain(machine, HERE)
    assert any("--ld-path=/usr/bin/ld.lld" in command for command in machine.commands)


def test_the_newest_clang_is_taken():
    programs = {"clang": CLANG_14, "clang-19": CLANG_19}
    assert locate_clang(Machine(programs), None).path.name == "clang-19"


def test_a_clang_with_its_own_lld_goes_before_a_newer_one():
    programs = {"clang": CLANG_14, "clang-19": CLANG_19, "ld.lld-14": LLD_14}
    assert locate_clang(Machine(programs), None).path.name == "clang"


def test_a_program_that_cannot_start_is_not_there():
    with pytest.raises(ToolchainError):
        locate_clang(Machine({"clang": None}), None)


@pytest.mark.parametrize("cc", ["gcc", "missing"])
def test_another_compiler_in_cc_is_an_error_that_names_it(cc):
    with pytest.raises(ToolchainError, match=f"CC={cc}") as caught:
        locate_clang(Machine({"gcc": GCC, "clang": CLANG_14}), cc)
    assert "unset CC" in caught.value.hint


def test_no_clang_says_what_to_type():
    with pytest.raises(ToolchainError) as caught:
        locate_clang(Machine({"gcc": GCC}), None)
    assert caught.value.hint.startswith("apt install clang")


@pytest.mark.parametrize(("name", "twin"), [("clang", "clang++"), ("clang-19", "clang++-19")])
def test_the_twin_of_a_compiler(name, twin):
    machine = Machine({name: CLANG_19, twin: CLANG_19})
    assert locate_clang_plus(machine, locate_clang(machine, name), None).path.name == twin


def test_two_releases_do_not_go_together():
    machine = Machine({"clang": CLANG_14, "clang++-19": CLANG_19})
    with pytest.raises(ToolchainError, match=r"14\.0\.6"):
        locate_clang_plus(machine, locate_clang(machine, None), "clang++-19")


@pytest.mark.parametrize(
    ("programs", "chosen"),
    [
        ({"ld.lld": LLD_16, "ld.lld-14": LLD_14}, "ld.lld-14"),
        ({"ld.lld": LLD_14, "ld.lld-19": LLD_19}, "ld.lld"),
        ({"ld.lld": LLD_16, "ld.lld-19": LLD_19}, "ld.lld-19"),
    ],
    ids=["its own", "its own unnamed", "otherwise the newest"],
)
def test_the_linker_fits_the_compiler(programs, chosen):
    assert locate_linker(Machine(programs), 14).path.name == chosen


def test_no_lld_says_what_to_type():
    with pytest.raises(ToolchainError) as caught:
        locate_linker(Machine({"ld": "GNU ld 2.40\n"}), 14)
    assert caught.value.hint == "apt install lld"


def test_llvm_strip_of_the_release_goes_before_gnu_strip():
    assert locate_strip(Machine({"llvm-strip": STRIP_14, "strip": STRIP_GNU}), 14).name == (
        "llvm-strip"
    )
    assert locate_strip(Machine({"llvm-strip": STRIP_14, "strip": STRIP_GNU}), 19).name == "strip"
    with pytest.raises(ToolchainError, match="strip"):
        locate_strip(Machine({}), 14)


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
    assert "builder doctor" in caught.value.hint


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


def test_versions():
    assert parse_version("Ubuntu clang version 19.1.7 (++2025)") == (19, 1, 7)
    assert parse_version("none") == ()
    assert find_major("none") == 0


def test_doctor_lists_every_target_and_what_is_missing():
    found = {f.subject: f for f in inspect_targets(Machine({"gcc": GCC}))}
    assert set(found) == {*(f"target {t}" for t in TARGETS), "target android", "target ios"}
    assert found["target linux-x86_64"].remedy.startswith("apt install clang")
    assert found["target android"].detail.startswith("not yet")


def test_doctor_finds_a_host_that_can_build():
    found = {f.subject: f for f in inspect_targets(Machine(full()))}
    assert found["target linux-x86_64"].ok
    assert found["target linux-aarch64"].ok


def test_doctor_lists_programs():
    found = {f.subject: f for f in inspect_tools(Machine(full(ccache="ccache version 4.7.5\n")))}
    assert found["clang"].detail == "Debian clang version 14.0.6 (/usr/bin/clang)"
    assert found["launchers"].detail == "ccache version 4.7.5 (/usr/bin/ccache)"
    assert not {f.subject for f in found.values() if not f.ok}
    assert not all(f.ok for f in inspect_tools(Machine({})))


def test_targets_are_named_by_platform_and_architecture():
    assert Target(platform=Platform.LINUX, architecture="x86_64") == HERE
