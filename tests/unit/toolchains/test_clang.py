from pathlib import Path

import pytest

from builder.core.toolchain import Bitcode
from builder.errors import ToolchainError
from builder.toolchains.clang import (
    find_bitcode,
    locate_clang,
    locate_clang_plus,
    locate_linker,
    locate_strip,
)
from builder.toolchains.tools import find_tool

from .machines import CLANG_14, CLANG_19, GCC, LLD_14, LLD_16, LLD_19, STRIP_14, STRIP_GNU, Machine


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


NDK_26 = "Android (10552028, +pgo, based on r487747d) clang version 17.0.2 (https://x/y d9f89f4)\n"
NDK_21 = "Android (7019983 based on r365631c3) clang version 9.0.9 (https://x/y 875)\n"
ELF, BITCODE = b"\x7fELF\x02", b"BC\xc0\xde"


class Compiler(Machine):
    """Writes `written` as an object, and links or does not."""

    def __init__(self, version, *, written=ELF, links=True):
        super().__init__({"clang": version, "ld.lld": LLD_19})
        self.written, self.links = written, links

    def run(self, command):
        if "-c" in command:
            Path(command[-1]).write_bytes(self.written)
        self.build = (0 if "-c" in command or self.links else 1, "")
        return super().run(command)

    def find_bitcode(self, **options):
        clang, linker = (find_tool(self, name) for name in ("clang", "ld.lld"))
        return find_bitcode(self, clang, linker, **options)


def test_objects_with_bitcode_are_tried_for_the_target_with_the_very_linker():
    machine = Compiler(CLANG_19)
    assert machine.find_bitcode(flags=("--target=aarch64-linux-gnu",)) is Bitcode.INSIDE
    compiled, linked = machine.commands[-2:]
    assert "--target=aarch64-linux-gnu" in compiled
    assert {"--target=aarch64-linux-gnu", "--ld-path=/usr/bin/ld.lld"} < {*linked}


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(Compiler(NDK_26, written=BITCODE), id="bitcode alone"),
        pytest.param(Compiler(NDK_26, links=False), id="a linker that does not know them"),
    ],
)
def test_a_compiler_whose_objects_cannot_hold_bitcode_is_found_out(machine):
    assert machine.find_bitcode() is Bitcode.BESIDE


@pytest.mark.parametrize(
    ("version", "expected"), [(CLANG_14, Bitcode.BESIDE), (NDK_21, Bitcode.NONE)]
)
def test_an_old_compiler_is_not_asked(version, expected):
    machine = Compiler(version)
    assert machine.find_bitcode() is expected
    assert not [command for command in machine.commands if "-flto" in command]
