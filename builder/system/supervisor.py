"""Holds a program and all that it starts: when builder is gone, or asks, nothing of it is left.

`Runner` starts this file as a program of its own, between builder and the tool, because no process
can do anything after it was killed with SIGKILL. The kernel closes builder's end of a pipe then,
and this end notices. Locks that builder holds are held here too, so the next builder cannot begin
before everything that the killed one started has ended.

It is started for every tool, so it imports what is quick to import. `Runner` makes it the
subreaper of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER) where the kernel is Linux's: what a
tool leaves behind becomes a child of this process, even from another session.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time

GRACE = 1.0
"""Seconds that a program has for cleaning up after SIGTERM."""
_PAUSE = 0.01


def main(arguments: list[str]) -> int:
    """Runs `LIFE REPORT HELD PROGRAM ARGUMENT...` and returns the exit code of the program.

    LIFE is a descriptor that builder closes when everything is to end. REPORT takes the error
    number when the program cannot be started. HELD are descriptors of locks, with commas.
    """
    life, report = int(arguments[0]), int(arguments[1])
    for descriptor in (life, report, *map(int, filter(None, arguments[2].split(",")))):
        os.set_inheritable(descriptor, False)
    woken = _wake_on_signals()
    try:
        program = os.posix_spawnp(
            arguments[3],
            arguments[3:],
            os.environ,
            setpgroup=0,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them
        )
    except OSError as error:
        os.write(report, str(error.errno).encode())
        return 127
    os.close(report)
    status = _wait(program, life, woken)
    if status is None:
        _end_everything(program)
        return 128 + signal.SIGTERM
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def _wake_on_signals() -> int:
    """Returns a descriptor that can be read when a child ended or this process is to end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reading


def _wait(program: int, life: int, woken: int) -> int | None:
    """Returns the status of the program; None when everything is to end before that."""
    poller = select.poll()
    poller.register(life)
    poller.register(woken, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        asked = set(os.read(woken, 4096)) if woken in ready else set()
        status = _reap(program)
        if status is not None:
            return status
        if life in ready or asked & {signal.SIGTERM, signal.SIGHUP}:
            return None


def _reap(program: int) -> int | None:
    """Collects all children that have ended; returns the status of the program if it is one."""
    found = None
    try:
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return found
            if process == program:
                found = status
    except ChildProcessError:
        return found


def _end_everything(program: int) -> None:
    """Asks the program's group to end, then kills every descendant until there is none."""
    _signal(-program, signal.SIGTERM)
    end = time.monotonic() + GRACE
    while _reap(program) is None and time.monotonic() < end:
        time.sleep(_PAUSE)
    _signal(-program, signal.SIGKILL)
    while _has_children():
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
    """Returns the descendants of this process, from /proc; nothing where there is none."""
    from pathlib import Path  # takes a third of the start, and is seldom needed

    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended
        children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        waiting += (own := children.get(waiting.pop(), []))
        found += own
    return found


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        return


def _die_of(number: int) -> None:
    """Ends this process by the signal that ended the program, so that builder sees the same."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
