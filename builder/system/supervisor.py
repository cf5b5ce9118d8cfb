"""Runs a program, and ends it with all its processes when builder ends or asks for it.

`Runner` starts this file as a separate program, between builder and the tool, because a process
that was killed with SIGKILL cannot do anything any more. When builder is killed, the kernel closes
its end of a pipe, and this process notices that. This process also holds the locks of builder, so
another builder cannot start before everything that the killed one started has ended.

This file is started for every tool, so it imports only modules that load fast. On Linux, `Runner`
makes it the subreaper of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER): a process that a tool
leaves behind becomes a child of this process, even if it has a session of its own.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time

GRACE = 1.0
"""Seconds that a program has to clean up after SIGTERM."""
_PAUSE = 0.01
"""Seconds between two looks at processes that are ending."""


def main(arguments: list[str]) -> int:
    """Runs `LIFE REPORT HELD PROGRAM ARGUMENT...` and returns the exit code of the program.

    LIFE is a file descriptor that builder closes to end everything. REPORT receives the error
    number when the program cannot be started. HELD are file descriptors of locks, separated by
    commas.
    """
    life, report = int(arguments[0]), int(arguments[1])
    # The program could otherwise keep builder's pipe or locks open after its end.
    for descriptor in (life, report, *map(int, filter(None, arguments[2].split(",")))):
        os.set_inheritable(descriptor, False)  # they are not for the program
    woken = _wake_on_signals()
    try:
        program = os.posix_spawnp(
            arguments[3],
            arguments[3:],
            os.environ,
            setpgroup=0,  # a group of its own, which can be signalled as a whole
            setsigdef=(
                signal.SIGPIPE,
                signal.SIGXFSZ,
            ),  # Python ignores these two, but the program must not
        )
    except OSError as error:
        os.write(report, str(error.errno).encode())
        return 127
    os.close(report)
    status = _wait(program, life, woken)
    if status is None:
        _end_everything(program)
        return 128 + signal.SIGTERM  # as shells report a program that SIGTERM ended
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def _wake_on_signals() -> int:
    """Returns a descriptor that becomes readable when a child ends or a signal asks to stop."""
    reading, writing = os.pipe()
    # A signal must never block in writing, and reading only empties the pipe.
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        # A handler has to exist, or the signal would not be written to the pipe.
        signal.signal(number, lambda *_: None)
    return reading


def _wait(program: int, life: int, woken: int) -> int | None:
    """Returns the status of the program; None when everything has to end before the program."""
    poller = select.poll()
    poller.register(life)
    poller.register(woken, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        asked = set(os.read(woken, 4096)) if woken in ready else set()
        # Looked at before the request to end: a program that has ended has an exit code to report.
        status = _reap(program)
        if status is not None:
            return status
        if life in ready or asked & {signal.SIGTERM, signal.SIGHUP}:
            return None


def _reap(program: int) -> int | None:
    """Collects all children that have ended; returns the status of the program if it ended."""
    program_status = None
    try:
        while True:
            # -1 and not the program: orphans of it became children of this process.
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return program_status
            if process == program:
                program_status = status
    except ChildProcessError:
        return program_status


def _end_everything(program: int) -> None:
    """Asks the process group of the program to end, then kills all descendants."""
    # A negative number stands for the process group (kill(2)).
    _signal(-program, signal.SIGTERM)
    end = time.monotonic() + GRACE
    while _reap(program) is None and time.monotonic() < end:
        time.sleep(_PAUSE)
    _signal(-program, signal.SIGKILL)
    while _has_children():  # again and again: a descendant can start another one meanwhile
        for process in _list_descendants():
            _signal(process, signal.SIGKILL)
        time.sleep(_PAUSE)
        _reap(program)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _list_descendants() -> list[int]:
    """Returns the descendants of this process from /proc; nothing on systems without /proc."""
    from pathlib import Path  # slow to import, and seldom needed

    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name of the program stands in parentheses and may contain spaces (proc(5)).
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # the process has ended
        children.setdefault(int(fields[1]), []).append(int(folder.name))
    descendants: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        started = children.get(waiting.pop(), [])
        waiting += started
        descendants += started
    return descendants


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        return


def _die_of(number: int) -> None:
    """Ends this process with the signal that ended the program, so that builder sees it too."""
    # A core file of this process would be of no use to anybody.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # SIGKILL cannot be handled, so it has no default to restore.
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
