"""What the seccomp filter decides, asked without a kernel; tests/contract has it in force."""

from __future__ import annotations

import os

import pytest

from builder.errors import ToolchainError
from builder.system import sandbox
from builder.system.sandbox import load_machine, make_filter

PROCESS = 4321
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
THREAD = 0x3D0F00
"""Flags that glibc gives clone(2) for a thread (nptl/pthread_create.c)."""


def decide(steps, *, audit: int, number: int, arguments=()) -> int:
    """Runs a filter as the kernel does (net/core/filter.c); only what builder's filters use."""
    data = {0: number, 4: audit}
    for index, value in enumerate(arguments):
        data[16 + 8 * index] = value & 0xFFFFFFFF
        data[20 + 8 * index] = value >> 32
    at = loaded = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x20:
            loaded = data.get(operand, 0)
        elif code == 0x15:
            at += yes if loaded == operand else no
        elif code == 0x45:
            at += yes if loaded & operand else no
        else:
            assert code == 0x06
            return operand


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request):
    return load_machine(request.param)


@pytest.fixture
def ask(machine):
    def ask(name: str | int, *arguments: int, audit: int = machine.audit) -> int:
        number = machine.checked[name] if isinstance(name, str) else name
        steps = make_filter(machine, PROCESS)
        return decide(steps, audit=audit, number=number, arguments=arguments)

    return ask


def test_every_jump_stays_inside(machine):
    steps = make_filter(machine, PROCESS)
    assert len(steps) < 4096  # BPF_MAXINSNS
    for at, (_, yes, no, _) in enumerate(steps[:-1]):
        assert max(yes, no) < 256
        assert at + 1 + max(yes, no) < len(steps)
    assert steps[-1][0] == 0x06


def test_computing_is_allowed(machine, ask):
    assert {ask(number) for number in machine.allowed} == {ALLOW}


def test_only_calls_in_the_list_are_allowed(machine, ask):
    listed = {*machine.allowed, *machine.checked.values()}
    assert {ask(number) for number in range(600) if number not in listed} == {EPERM}
    assert ask(0x40000001) == EPERM  # x32's write(2)


def test_calls_of_another_architecture_end_the_process(ask):
    assert ask(4, audit=0x40000003) == KILL  # write(2) of i386


@pytest.mark.parametrize(
    "flags",
    [os.O_RDONLY, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, os.O_DIRECTORY | os.O_CLOEXEC],
)
def test_files_can_be_read(ask, flags):
    assert ask("openat", 0, 0, flags) == ALLOW


@pytest.mark.parametrize(
    "flags",
    [
        os.O_WRONLY,
        os.O_RDWR,
        os.O_RDONLY | os.O_TRUNC,
        os.O_RDONLY | os.O_CREAT,
        os.O_TMPFILE | os.O_RDWR,
        os.O_RDWR | os.O_CLOEXEC,
        os.O_PATH,
        3,  # neither reading nor writing, for ioctls: still of devices
    ],
)
def test_no_file_is_opened_for_writing(ask, machine, flags):
    assert ask("openat", 0, 0, flags) == EPERM
    if "open" in machine.checked:
        assert ask("open", 0, flags) == EPERM


def test_upper_halves_of_flags_hide_nothing(ask):
    """The kernel takes an int: the upper half is not looked at by either."""
    assert ask("openat", 0, 0, os.O_WRONLY | 1 << 32) == EPERM


def test_threads_are_allowed_and_processes_are_not(ask):
    assert ask("clone", THREAD) == ALLOW
    assert ask("clone", 17) == EPERM  # fork(2): SIGCHLD
    assert ask("clone", 0x4111) == EPERM  # vfork
    assert ask("clone3", 0) == ENOSYS


def test_signals_reach_this_process_only(ask):
    assert ask("tgkill", PROCESS, PROCESS, 6) == ALLOW
    assert ask("tgkill", PROCESS - 1, PROCESS - 1, 9) == EPERM
    assert ask("tgkill", 1, 1, 9) == EPERM


def test_limits_can_be_read_and_not_changed(ask):
    assert ask("prlimit64", 0, 9, 0, 0x7FFF00000000) == ALLOW
    assert ask("prlimit64", 0, 9, 0x7FFF12345678, 0) == EPERM
    assert ask("prlimit64", 0, 9, 0x7FFF00000000, 0) == EPERM  # its lower half is null


def test_descriptors_get_no_locks_no_leases_no_seals(ask):
    assert ask("fcntl", 3, 3) == ALLOW  # F_GETFL
    for command in (4, 6, 7, 8, 1024, 1026, 1033):
        assert ask("fcntl", 3, command) == EPERM


def test_no_second_filter_is_needed(ask):
    assert ask("seccomp", 1, 0, 0) == EPERM


@pytest.mark.parametrize(
    ("platform", "architecture", "reason"),
    [("darwin", "arm64", "has no seccomp"), ("linux", "riscv64", "no seccomp filter for riscv64")],
)
def test_other_machines_are_refused(monkeypatch, platform, architecture, reason):
    monkeypatch.setattr(sandbox.sys, "platform", platform)
    monkeypatch.setattr(sandbox.platform, "machine", lambda: architecture)
    assert reason in sandbox.find_obstacle()
    with pytest.raises(ToolchainError, match=reason) as caught:
        sandbox.confine()
    assert "export(" in caught.value.hint
