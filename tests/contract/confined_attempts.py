"""What `test_confinement` runs in children: attempts to break out, and other misbehaviour.

An attempt raises OSError when it is refused, and returns what it got otherwise.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from builder.system.frames import BrokenFrameError, Frame, read_frame, write_frame
from builder.system.sandbox import confine, end_with_parent, limit

LIBC = ctypes.CDLL(None, use_errno=True)
NOBODY = 65534


def _call(*arguments: object) -> int:
    """A system call that Python has no name for, by its number on x86_64 or aarch64."""
    result = LIBC.syscall(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _number(x86_64: int, aarch64: int) -> int:
    return x86_64 if os.uname().machine == "x86_64" else aarch64


def _map_shared(path: Path) -> int:
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        mapped[0:1] = b"X"
        return len(mapped)


def _open_as(path: Path, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _set_flags(path: Path) -> int:
    """FS_IOC_SETFLAGS, which an open for reading is enough for: chattr +A."""
    import fcntl

    with path.open("rb") as stream:
        return len(fcntl.ioctl(stream.fileno(), 0x40086602, (0x80).to_bytes(8, "little")))


def _write_own_memory(path: Path) -> int:
    with Path("/proc/self/mem").open("r+b") as stream:
        return stream.fileno()


def _start_program(path: Path) -> int:
    return subprocess.Popen(("/bin/sh", "-c", f"echo owned > {path}")).pid


def _connect(path: Path) -> int:
    return socket.create_connection(("127.0.0.1", 9), timeout=1).fileno()


def _clone3(path: Path) -> int:
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = signal.SIGCHLD
    pid = _call(435, ctypes.byref(arguments), 88)
    if pid == 0:
        os._exit(0)
    return pid


ATTEMPTS: dict[str, Callable[[Path], object]] = {
    "create": lambda path: path.with_name("new").write_bytes(b"owned"),
    "create in /dev/shm": lambda path: Path("/dev/shm/builder-owned").write_bytes(b"owned"),
    "overwrite": lambda path: path.write_bytes(b"owned"),
    "append": lambda path: _open_as(path, os.O_WRONLY | os.O_APPEND),
    "truncate when reading": lambda path: _open_as(path, os.O_RDONLY | os.O_TRUNC),
    "create when reading": lambda path: _open_as(path.with_name("new"), os.O_RDONLY | os.O_CREAT),
    "nameless file": lambda path: _open_as(path.parent, os.O_TMPFILE | os.O_RDWR),
    "openat2": lambda path: _call(
        437, -100, bytes(path), ctypes.byref((ctypes.c_uint64 * 3)(os.O_RDWR)), 24
    ),
    "creat": lambda path: _call(_number(85, 9999), bytes(path), 0o600),
    "truncate": lambda path: os.truncate(path, 1),
    "map shared": _map_shared,
    "remove": os.unlink,
    "rename": lambda path: path.rename(path.with_name("other")),
    "link": lambda path: os.link(path, path.with_name("link")),
    "symbolic link": lambda path: path.with_name("symlink").symlink_to(path),
    "make folder": lambda path: path.with_name("folder").mkdir(),
    "make FIFO": lambda path: os.mkfifo(path.with_name("fifo")),
    "change mode": lambda path: path.chmod(0o777),
    "change owner": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "change time": lambda path: os.utime(path, (0, 0)),
    "set attribute": lambda path: os.setxattr(path, "user.owned", b"1"),
    "set flags by ioctl": _set_flags,
    "write to own memory": _write_own_memory,
    "write to the parent's memory": lambda path: _open_as(
        Path(f"/proc/{os.getppid()}/mem"), os.O_RDWR
    ),
    "memory file": lambda path: os.memfd_create("owned"),
    "shared memory": lambda path: _call(_number(29, 194), 0, 4096, 0o1600),
    "fork": lambda path: os.fork() or os._exit(0),
    "clone3": _clone3,
    "execute": lambda path: os.execv("/bin/true", ["true"]),
    "start a program": _start_program,
    "TCP": _connect,
    "Unix socket": lambda path: socket.socket(socket.AF_UNIX).fileno(),
    "socket pair": lambda path: socket.socketpair()[0].fileno(),
    "signal the parent": lambda path: os.kill(os.getppid(), signal.SIGCONT),
    "signal all": lambda path: os.kill(-1, 0),
    "trace the parent": lambda path: _call(_number(101, 117), 16, os.getppid(), 0, 0),
    "write into the parent": lambda path: _call(_number(311, 271), os.getppid(), 0, 0, 0, 0, 0),
    "io_uring": lambda path: _call(425, 8, ctypes.byref((ctypes.c_uint8 * 120)())),
    "BPF": lambda path: _call(_number(321, 280), 0, 0, 0),
    "new namespace": lambda path: _call(_number(272, 97), 0x10000000),
    "mount": lambda path: LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None) and _raise_errno(),
    "change root": lambda path: os.chroot("/"),
    "raise a limit": lambda path: resource.prlimit(
        0, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    ),
    "lower the parent's limit": lambda path: resource.prlimit(
        os.getppid(), resource.RLIMIT_CPU, (1, 1)
    ),
    "priority of others": lambda path: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "pin others": lambda path: os.sched_setaffinity(os.getppid(), {0}),
    "lock a file": lambda path: os.lockf(os.open(path, os.O_RDONLY), os.F_TLOCK, 1),
}


def _raise_errno() -> None:
    raise OSError(ctypes.get_errno(), "mount")


def _attempt(name: str, path: Path) -> str:
    try:
        return f"got {ATTEMPTS[name](path)!r}"
    except OSError as error:
        return f"refused {error.errno}"


def _break_out(header) -> Frame:
    if header["as_nobody"] and os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    path = Path(header["path"])
    late: list[str] = []
    ready = threading.Event()
    thread = threading.Thread(  # started before the boundary is drawn, as importing torch does
        target=lambda: (ready.wait(), late.append(_attempt("overwrite", path)))
    )
    thread.start()
    confine()
    ready.set()
    thread.join()
    outcomes = {name: _attempt(name, path) for name in ATTEMPTS}
    read = path.read_bytes().decode()
    worker = threading.Thread(target=lambda: late.append("a thread"))
    worker.start()
    worker.join()
    return Frame(header={"outcomes": outcomes, "late": late, "read": read, "uid": os.getuid()})


def _loop(header) -> Frame:
    limit(seconds=header["seconds"], memory=1 << 30, for_ever=header["for_ever"])
    while True:
        pass


def _ignore_the_limit(header) -> Frame:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    return _loop(header)


def _take_memory(header) -> Frame:
    limit(seconds=60, memory=64 << 20, for_ever=True)
    try:
        taken = len(bytearray(1 << 30))
    except MemoryError:
        taken = 0
    return Frame(header={"taken": taken})


def _print(header) -> Frame:
    for _ in range(2000):
        sys.stdout.write("x" * 1000 + "\n")
        sys.stderr.write("y" * 1000 + "\n")
    sys.stdout.flush()
    return Frame(header={"printed": True})


def _sleep(header) -> Frame:
    time.sleep(600)
    return Frame(header={})


def _crash(header) -> Frame:
    confine()
    sys.stderr.write("last words \x1b[2J\n")
    sys.stderr.flush()
    os.abort()


def _garbage(header) -> Frame:
    os.write(header["answers"], b"no frame at all, for as long as it takes" * 10)
    os._exit(3)


def _large(header) -> Frame:
    return Frame(header={}, blobs=(b"x" * 2_000_000,))


def _about(header) -> Frame:
    return Frame(header={"pid": os.getpid(), "path": sys.path, "here": "torch" in sys.modules})


JOBS = {
    "break out": _break_out,
    "loop": _loop,
    "ignore the limit": _ignore_the_limit,
    "take memory": _take_memory,
    "print": _print,
    "sleep": _sleep,
    "crash": _crash,
    "garbage": _garbage,
    "large": _large,
    "about": _about,
}


def main() -> None:
    end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job = read_frame(sys.stdin.buffer, limit=1 << 30)
        except BrokenFrameError:
            return
        header = {**job.header, "answers": answers.fileno()}
        write_frame(answers, JOBS[header["job"]](header))
