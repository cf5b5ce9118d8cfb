"""A boundary around this process: it can compute, read files and answer, and has no other effect.

A seccomp filter (Linux 3.17 or newer, no privileges needed) lets only those system calls through
that computing takes. What opens a file for writing, makes, renames or removes one, changes its
mode, starts a process or a program, signals another process, or uses the network gets EPERM: in
every thread, for ever, and for root too. It is a list of what is allowed, so what the kernel learns
later is forbidden. Shared memory cannot be had, and a file that was opened for reading cannot be
mapped for writing, so `mmap` changes no file. Files can be read; nothing can carry them away but
the answer to the caller.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from builder.errors import ToolchainError


@dataclass(frozen=True, slots=True)
class Machine:
    """The kernel's numbers for one architecture; see sandbox.toml."""

    audit: int
    """AUDIT_ARCH_..., what a filter sees of the architecture of a call."""
    allowed: tuple[int, ...]
    """System calls that are let through whatever their arguments are."""
    checked: Mapping[str, int]
    """System calls that are let through with some arguments only, by name."""


_COLUMNS = {"x86_64": 0, "aarch64": 1}
"""Architectures, and where their numbers stand in sandbox.toml."""

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_GRACE = 5
"""Seconds of CPU time from SIGXCPU to SIGKILL."""
_SET_MODE_FILTER = 1
_ALL_THREADS = 1
"""SECCOMP_FILTER_FLAG_TSYNC."""
_CLONE_THREAD = 0x10000
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
"""Flags of open(2) that only read; O_TRUNC and O_CREAT change something without O_WRONLY."""
_HARMLESS_FCNTL = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC (linux/fcntl.h)."""

# Classic BPF (linux/bpf_common.h) and what a filter returns (linux/seccomp.h).
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; arguments have 8 bytes, the lower half first."""
Step = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def find_obstacle() -> str:
    """Returns why no boundary can be drawn on this machine; empty when one can."""
    if sys.platform != "linux":
        return f"{platform.system()} has no seccomp"
    if platform.machine() not in _COLUMNS or sys.byteorder != "little":
        return f"builder has no seccomp filter for {platform.machine()}"
    if not hasattr(os, "O_CLOEXEC") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return "builder's seccomp filter is for 64-bit processes"
    return ""


def check_boundary() -> None:
    """Raises ToolchainError where no boundary can be drawn."""
    if obstacle := find_obstacle():
        raise _unavailable(obstacle)


def confine() -> None:
    """Draws the boundary around this process and all its threads; there is no way back.

    Raises:
        ToolchainError: the system has none, or it does not hold.
    """
    check_boundary()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    machine = load_machine(platform.machine())
    _install(b"".join(map(_pack, make_filter(machine, os.getpid()))), machine)
    try:
        os.close(os.open(os.devnull, os.O_WRONLY))
    except PermissionError:
        return
    raise _unavailable("a seccomp filter was installed, and has no effect")


def end_with_parent() -> None:
    """Asks the kernel to end this process when the one that started it is gone (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def limit(*, seconds: int, memory: int, for_ever: bool) -> None:
    """Gives this process CPU time and memory on top of what it has used up to now.

    Beyond the time the kernel ends it by SIGXCPU; beyond the memory allocations fail. Memory has a
    limit under Linux only. A crash leaves no core file.

    Args:
        seconds: of CPU time, all threads together.
        memory: bytes of address space.
        for_ever: this process itself cannot raise them again.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    cpu = spent + seconds
    # Not the same: at the hard limit of time the kernel sends SIGKILL, which tells nobody why.
    _limit(resource.RLIMIT_CPU, cpu, hard=cpu + _GRACE if for_ever else None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        space = _address_space() + memory
        _limit(resource.RLIMIT_AS, space, hard=space if for_ever else None)


def load_machine(architecture: str) -> Machine:
    """Returns the numbers of an architecture, named as `uname -m` does; KeyError for others."""
    column = _COLUMNS[architecture]
    data = tomllib.loads(
        resources.files("builder.system").joinpath("sandbox.toml").read_text("utf-8")
    )
    numbers = {
        part: {name: row[column] for name, row in data[part].items() if row[column] >= 0}
        for part in ("allowed", "checked")
    }
    return Machine(
        audit=data["audit"][architecture],
        allowed=tuple(numbers["allowed"].values()),
        checked=numbers["checked"],
    )


def make_filter(machine: Machine, process: int) -> tuple[Step, ...]:
    """Returns the filter for `machine` as BPF; `process` may send signals to itself only."""
    return (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),  # a 32-bit call has other numbers
        (_LOAD, 0, 0, _NUMBER),
        *(step for number in machine.allowed for step in _when(number, (_ALLOW_IT,))),
        *_check_arguments(machine, process),
        _FAIL_IT,
    )


def _check_arguments(machine: Machine, process: int) -> Iterator[Step]:
    number = machine.checked
    opening = _none_of(~_READING & 0xFFFFFFFF)
    if "open" in number:
        yield from _when(number["open"], (_argument(1), *opening))
    yield from _when(number["openat"], (_argument(2), *opening))
    yield from _when(number["fcntl"], (_argument(1), *_one_of(_HARMLESS_FCNTL)))
    yield from _when(number["tgkill"], (_argument(0), *_one_of((process,))))
    # Threads, no processes. clone3 hides its flags from filters: C libraries take clone instead.
    threads = ((_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW_IT, _FAIL_IT)
    yield from _when(number["clone"], (_argument(0), *threads))
    yield from _when(number["clone3"], ((_RETURN, 0, 0, _FAIL | errno.ENOSYS),))
    # Limits may be asked for and not changed: the pointer to new ones has to be null.
    low = ((_EQUAL, 1, 0, 0), _FAIL_IT)
    high = (_LOAD, 0, 0, _ARGUMENTS + 8 * 2 + 4)
    yield from _when(number["prlimit64"], (_argument(2), *low, high, *low, _ALLOW_IT))


_ALLOW_IT: Step = (_RETURN, 0, 0, _ALLOW)
_FAIL_IT: Step = (_RETURN, 0, 0, _FAIL | errno.EPERM)


def _when(number: int, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Returns `steps`, which have to end in a return, behind a test of the call's number."""
    return ((_EQUAL, 0, len(steps), number), *steps)


def _argument(index: int) -> Step:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _none_of(bits: int) -> tuple[Step, ...]:
    return ((_ANY_BIT, 0, 1, bits), _FAIL_IT, _ALLOW_IT)


def _one_of(values: Sequence[int]) -> tuple[Step, ...]:
    return (*(step for value in values for step in _when(value, (_ALLOW_IT,))), _FAIL_IT)


def _pack(step: Step) -> bytes:
    return struct.pack("=HBBI", *step)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _install(steps: bytes, machine: Machine) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps) // 8, steps)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _unavailable(f"PR_SET_NO_NEW_PRIVS: {os.strerror(ctypes.get_errno())}")
    # By seccomp(2), as prctl(2) would leave the threads alone that importing torch has started.
    call = library.syscall
    call.restype = ctypes.c_long
    result = call(
        ctypes.c_long(machine.checked["seccomp"]),
        ctypes.c_long(_SET_MODE_FILTER),
        ctypes.c_long(_ALL_THREADS),
        ctypes.byref(program),
    )
    if result != 0:  # above 0: the thread that could not be confined
        why = os.strerror(ctypes.get_errno()) if result < 0 else f"thread {result} is left out"
        raise _unavailable(f"seccomp: {why}")


def _limit(kind: int, wanted: int, *, hard: int | None) -> None:
    _, known = resource.getrlimit(kind)
    most = known if hard is None else _least(hard, known)
    resource.setrlimit(kind, (_least(wanted, most), most))


def _least(wanted: int, limit: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)


def _address_space() -> int:
    """Returns the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _unavailable(why: str) -> ToolchainError:
    return ToolchainError(
        f"this machine cannot keep a model's code from having effects: {why}",
        hint="export the model, which runs its code with all your rights, if you trust it: "
        "builder export FILE -o model.ptl",
    )
