from __future__ import annotations

from pathlib import Path

import pytest

from builder.system.emulators import find_emulator
from builder.system.machine import host_architecture


class Machine:
    """A PATH with some programs."""

    def __init__(self, *names):
        self.names = names

    def find_program(self, name):
        return Path("/usr/bin", name) if name in self.names else None


@pytest.mark.parametrize(
    ("architecture", "program", "libraries"),
    [
        ("riscv64", "qemu-riscv64", "/usr/riscv64-linux-gnu"),
        ("armv7l", "qemu-arm", "/usr/arm-linux-gnueabihf"),
    ],
)
def test_another_processors_programs_go_through_qemu(architecture, program, libraries):
    found = find_emulator(architecture, Machine(program))
    assert found == (f"/usr/bin/{program}", "-L", libraries)
    assert find_emulator(architecture, Machine()) is None


def test_this_machines_programs_need_nothing():
    assert find_emulator(host_architecture(), Machine()) == ()
