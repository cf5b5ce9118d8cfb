"""Confines this process: it can compute, read files and answer, but has no other effects.

A seccomp filter (Linux 3.17 or newer, without privileges) allows only the system calls that are
needed for computing. EPERM is the result of every call that opens a file for writing, creates,
renames or removes a file, changes its mode, starts a process or a program, sends a signal to
another process, or uses the network. This holds for all threads, forever, and for root as well. The
filter lists what is allowed, so system calls of future kernels are forbidden. There is no shared
memory, and a file that was opened for reading cannot be mapped for writing, so `mmap` cannot change
a file. Files can be read, but their contents can leave the process only in its answer.
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

from builder.errors import Hint, Run, ToolchainError, Use


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of the kernel for one architecture; see sandbox.toml."""

    audit: int
    """AUDIT_ARCH_..., the number by which a filter recognises the architecture of a call."""
    allowed: tuple[int, ...]
    """System calls that are allowed with all arguments."""
    checked: Mapping[str, int]
    """Name of system calls that are allowed only with some arguments -> number."""


_COLUMNS = {"x86_64": 0, "aarch64": 1}
"""Architecture -> column of its numbers in sandbox.toml."""

# Constants of linux/prctl.h and linux/seccomp.h.
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
"""Flags of open(2) that only read; O_TRUNC and O_CREAT change files even without O_WRONLY."""
_HARMLESS_FCNTL = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC (linux/fcntl.h)."""

# Instructions of classic BPF (linux/bpf_common.h) and results of a filter (linux/seccomp.h).
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; arguments have 8 bytes, the lower half first."""
Step = tuple[int, int, int, int]
"""An instruction: code, jump distance if true, jump distance if false, operand."""


def find_obstacle() -> str:
    """Returns why processes cannot be confined on this machine; empty when they can."""
    if sys.platform != "linux":
        return f"{platform.system()} has no seccomp"
    if platform.machine() not in _COLUMNS or sys.byteorder != "little":
        return f"builder has no seccomp filter for {platform.machine()}"
    if not hasattr(os, "O_CLOEXEC") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return "builder's seccomp filter is for 64-bit processes"
    return ""


def check_boundary() -> None:
    """Raises ToolchainError when processes cannot be confined on this machine."""
    if obstacle := find_obstacle():
        raise _unavailable(obstacle)


def confine() -> None:
    """Confines this process and all its threads; this cannot be undone.

    Raises:
        ToolchainError: the system does not support it, or the filter has no effect.
    """
    check_boundary()
    # In addition to the filter: no file can be made longer.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    machine = load_machine(platform.machine())
    _install(b"".join(map(_pack, make_filter(machine, os.getpid()))), machine)
    # A test that the filter works: writing to /dev/null would do no harm.
    try:
        os.close(os.open(os.devnull, os.O_WRONLY))
    except PermissionError:
        return
    raise _unavailable("a seccomp filter was installed, but has no effect")


def end_with_parent() -> None:
    """Tells the kernel to end this process when its parent has ended (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def limit(*, seconds: int, memory: int, for_ever: bool) -> None:
    """Limits the CPU time and memory of this process, in addition to what it has used so far.

    When the time is over, the kernel ends the process with SIGXCPU. When the memory is used up,
    allocations fail; this limit exists only on Linux. A crash leaves no core file.

    Args:
        seconds: seconds of CPU time, for all threads together.
        memory: bytes of address space.
        for_ever: whether the process cannot raise the limits again.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    cpu = spent + seconds
    # The hard limit is higher: the kernel sends SIGKILL there, which does not show the reason.
    _limit(resource.RLIMIT_CPU, cpu, hard=cpu + _GRACE if for_ever else None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        space = _address_space() + memory
        _limit(resource.RLIMIT_AS, space, hard=space if for_ever else None)


def load_machine(architecture: str) -> Machine:
    """Returns the numbers of an architecture (`uname -m`); KeyError for an unsupported one."""
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
    """Returns the BPF filter for `machine`; `process` can send signals only to itself."""
    return (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),  # a 32-bit program uses other numbers for system calls
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
    # New threads are allowed, new processes are not. A filter cannot see the flags of clone3, so it
    # fails with ENOSYS, and C libraries call clone instead.
    threads = ((_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW_IT, _FAIL_IT)
    yield from _when(number["clone"], (_argument(0), *threads))
    yield from _when(number["clone3"], ((_RETURN, 0, 0, _FAIL | errno.ENOSYS),))
    # Limits can be read but not changed: the pointer to new limits has to be null.
    low = ((_EQUAL, 1, 0, 0), _FAIL_IT)
    high = (_LOAD, 0, 0, _ARGUMENTS + 8 * 2 + 4)
    yield from _when(number["prlimit64"], (_argument(2), *low, high, *low, _ALLOW_IT))


_ALLOW_IT: Step = (_RETURN, 0, 0, _ALLOW)
_FAIL_IT: Step = (_RETURN, 0, 0, _FAIL | errno.EPERM)


def _when(number: int, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Returns `steps`, which must end with a return, after a test for a system call."""
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
    # seccomp(2) confines all threads; prctl(2) would leave out those that torch has started.
    call = library.syscall
    call.restype = ctypes.c_long
    result = call(
        ctypes.c_long(machine.checked["seccomp"]),
        ctypes.c_long(_SET_MODE_FILTER),
        ctypes.c_long(_ALL_THREADS),
        ctypes.byref(program),
    )
    if result != 0:  # a positive result is the id of a thread that could not be confined
        why = (
            os.strerror(ctypes.get_errno()) if result < 0 else f"thread {result} cannot be confined"
        )
        raise _unavailable(f"seccomp: {why}")


def _limit(kind: int, wanted: int, *, hard: int | None) -> None:
    _, known = resource.getrlimit(kind)
    most = known if hard is None else _least(hard, known)
    resource.setrlimit(kind, (_least(wanted, most), most))


def _least(wanted: int, limit: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)


def _address_space() -> int:
    """Returns the bytes of address space that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _unavailable(why: str) -> ToolchainError:
    return ToolchainError(
        f"this machine cannot confine the code of a model: {why}",
        hint=Hint(
            "if you trust the model, export it, which runs its code with all your rights: ",
            Run("export", ("FILE", Use("output", "model.ptl"))),
        ),
    )
