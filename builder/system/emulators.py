"""Running programs that are made for another processor."""

from __future__ import annotations

from builder.system.machine import host_architecture
from builder.system.process import Runner

_LIBRARIES = "/usr/{}-linux-gnu"
"""Where Debian's cross packages (libc6-arm64-cross and the like) put another processor's glibc."""


def find_emulator(architecture: str, runner: Runner) -> tuple[str, ...] | None:
    """Returns what to put in front of a Linux program of `architecture` (in `uname -m` terms).

    Empty on such a machine itself; None where QEMU's user emulation is not installed.
    """
    if architecture == host_architecture():
        return ()
    program = runner.find_program(f"qemu-{architecture}")
    if program is None:
        return None
    return (str(program), "-L", _LIBRARIES.format(architecture))
