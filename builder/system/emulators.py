"""Finds emulators for programs that are built for another CPU."""

from __future__ import annotations

from builder.system.machine import host_architecture
from builder.system.process import Runner

_NAMES = {"armv7l": ("arm", "arm-linux-gnueabihf"), "i686": ("i386", "i686-linux-gnu")}
"""QEMU's name of a CPU and its target triple, where they differ from `uname -m`."""


def find_emulator(architecture: str, runner: Runner) -> tuple[str, ...] | None:
    """Returns the start of a command that runs a Linux program of another architecture.

    The result is empty if this machine has that architecture, and None if the user-mode emulation
    of QEMU is not installed.

    Args:
        architecture: name of the architecture as `uname -m` prints it.
        runner: its PATH is searched.
    """
    # No emulator is needed, so the command is empty.
    if architecture == host_architecture():
        return ()
    name, triple = _NAMES.get(architecture, (architecture, f"{architecture}-linux-gnu"))
    program = runner.find_program(f"qemu-{name}")
    if program is None:
        return None
    # Cross packages of Debian, such as libc6-arm64-cross, install the glibc of another CPU there.
    return (str(program), "-L", f"/usr/{triple}")
