"""Running programs that are made for another processor."""

from __future__ import annotations

from builder.system.machine import host_architecture
from builder.system.process import Runner

_NAMES = {"armv7l": ("arm", "arm-linux-gnueabihf"), "i686": ("i386", "i686-linux-gnu")}
"""QEMU's name of a processor and its target triple, where they are not `uname -m`'s."""


def find_emulator(architecture: str, runner: Runner) -> tuple[str, ...] | None:
    """Returns what to put in front of a Linux program of `architecture` (in `uname -m` terms).

    Empty on such a machine itself; None where QEMU's user emulation is not installed.
    """
    if architecture == host_architecture():
        return ()
    name, triple = _NAMES.get(architecture, (architecture, f"{architecture}-linux-gnu"))
    program = runner.find_program(f"qemu-{name}")
    if program is None:
        return None
    # Debian's cross packages (libc6-arm64-cross and the like) put another processor's glibc there.
    return (str(program), "-L", f"/usr/{triple}")
