"""A machine with some programs, as far as builder asks it."""

from collections.abc import Sequence
from pathlib import Path

from builder.errors import NativeBuildError
from builder.system.process import Completed

CLANG_13 = "Debian clang version 13.0.1\nTarget: x86_64-pc-linux-gnu\n"
CLANG_14 = "Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n"
CLANG_19 = "Ubuntu clang version 19.1.7 (++20250114)\nTarget: x86_64-pc-linux-gnu\n"
LLD_14 = "Debian LLD 14.0.6 (compatible with GNU linkers)\n"
LLD_16 = "LLD 16.0.6 (compatible with GNU linkers)\n"
LLD_19 = "Ubuntu LLD 19.1.7 (compatible with GNU linkers)\n"
GCC = "gcc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022\n"
STRIP_14 = "llvm-strip, compatible with GNU strip\nDebian LLVM version 14.0.6\n"
STRIP_GNU = "GNU strip (GNU Binutils for Debian) 2.40\n"
EXPANDED = "std::string probed();\nconst long long version[] = {20220819, 2, 36};\n"


class Machine:
    """A runner whose PATH has the given programs with their `--version` output."""

    def __init__(self, programs, *, build=(0, ""), expanded=EXPANDED, verbose="", environment=None):
        self.programs = programs
        self.build = build
        self.expanded = expanded
        self.verbose = verbose
        self.environment = environment or {}
        self.commands = []

    def with_environment(self, **_):
        return self

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


def make_ndk(
    root: Path,
    revision: str = "22.0.7026061",
    hosts: Sequence[str] = ("linux-x86_64", "darwin-x86_64"),
) -> Path:
    """Returns a folder with what is read of an NDK."""
    for host in hosts:
        (root / "toolchains/llvm/prebuilt" / host / "bin").mkdir(parents=True)
    (root / "meta").mkdir()
    (root / "meta/platforms.json").write_text('{"min": 16, "max": 30, "aliases": {}}')
    (root / "source.properties").write_text(f"Pkg.Desc = Android NDK\nPkg.Revision = {revision}\n")
    return root
