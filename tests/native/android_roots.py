"""Roots of Android systems, whose own loader and C library run programs.

BUILDER_ANDROID_ROOT names them, each with its API level: `23=/roots/6:28=/roots/9:30=/roots/11`.
A root has /system/bin/linker64 with the libraries in /system/lib64, or /system/bin/linker with
those in /system/lib, or both. Programs run under QEMU, and x86_64's on such a machine without it.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from .conftest import HERE

QEMU = {
    "arm64-v8a": "qemu-aarch64",
    "armeabi-v7a": "qemu-arm",
    "x86": "qemu-i386",
    "x86_64": "qemu-x86_64",
}
_ABIS = {
    "EM_AARCH64": "arm64-v8a",
    "EM_ARM": "armeabi-v7a",
    "EM_386": "x86",
    "EM_X86_64": "x86_64",
}


@dataclass(frozen=True)
class Root:
    """A root, for one of the ABIs that it has."""

    level: int
    path: Path
    abi: str

    @property
    def command(self) -> tuple[str, ...]:
        """What to put in front of a program."""
        if self.abi == os.uname().machine and os.geteuid() == 0:
            return ("sh", str(HERE / "android_chroot.sh"), str(self.path / "system"))
        return (QEMU[self.abi], "-L", str(self.path))

    @property
    def via(self) -> str:
        """The same as one text."""
        return shlex.join(self.command)

    def __str__(self) -> str:
        return f"{self.level}-{self.abi}"


def list_roots() -> list[Root]:
    """Returns the roots of BUILDER_ANDROID_ROOT, each once per ABI."""
    named = os.environ.get("BUILDER_ANDROID_ROOT", "")
    return [
        Root(int(level), Path(path), abi)
        for level, _, path in (entry.partition("=") for entry in named.split(":") if entry)
        for abi in _find_abis(Path(path) / "system/bin")
    ]


def _find_abis(programs: Path) -> list[str]:
    found = []
    for loader in (programs / "linker64", programs / "linker"):
        if loader.is_file():
            with loader.open("rb") as stream:
                found.append(_ABIS[ELFFile(stream).header.e_machine])
    return found
