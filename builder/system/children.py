"""Python processes of builder's own, for work that may crash, loop or take all memory.

A child gets jobs and gives answers as `Frame`s through pipes. Whatever becomes of it, builder lives
on and says what happened: the signal, or the limit that was reached.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from builder.errors import BuilderError
from builder.system.folders import package_folder
from builder.system.frames import BrokenFrameError, Frame, read_frame, write_frame
from builder.system.machine import memory_bytes

DEFAULT_SECONDS = 120
MAX_ANSWER = 2 << 30
"""Bytes of an answer; tensors are given back to the process that compares them."""
_PATIENCE = 4
"""Seconds of the clock for one of CPU time: the machine may be busy, and waiting takes no CPU."""
_START = 300
"""Seconds of the clock that importing torch may take."""
_LEAST_MEMORY = 2 << 30
_LAST_WORDS = 4096
_ENTRY = (
    "import importlib, sys; sys.path[:] = sys.argv[2:]; importlib.import_module(sys.argv[1]).main()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may take."""

    seconds: int = DEFAULT_SECONDS
    """Of CPU time."""
    memory: int = 0
    """Bytes on top of what the child takes before it; 0: half of the machine's memory."""

    @property
    def memory_bytes(self) -> int:
        """The limit of memory in bytes."""
        return self.memory or max(memory_bytes() // 2, _LEAST_MEMORY)

    @property
    def memory_text(self) -> str:
        """The limit of memory for people."""
        return f"{self.memory_bytes / (1 << 20):,.0f} MiB"


class ChildEndedError(BuilderError):
    """A child ended in the middle of a job; the message says by what."""

    by_limit = False
    """Whether it was ended for the time it took."""


class ChildLateError(ChildEndedError):
    """A child was ended for the time it took."""

    by_limit = True


class PythonChild:
    """A Python process that runs `main()` of one of builder's modules; not for several threads."""

    def __init__(self, module: str) -> None:
        """Starts it, with the import path of this process."""
        root = str(package_folder("").parent)
        path = [root, *(entry for entry in sys.path if entry and entry != root)]
        self._late = False
        self._process = subprocess.Popen(
            # -S: the import path is given whole; -P, in -I: nothing is imported from the working
            # folder, where the model lies that somebody sent.
            (sys.executable, "-I", "-S", "-B", "-c", _ENTRY, module, *path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._words = bytearray()
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can take another job."""
        return self._process.poll() is None

    def ask(self, job: Frame, *, seconds: int, limit: int = MAX_ANSWER) -> Frame:
        """Returns the answer to `job`.

        Args:
            job: what it is to do.
            seconds: of CPU time that the child gives itself; this process waits some times longer.
            limit: most bytes of the answer.

        Raises:
            ChildEndedError: it ended, was ended for being late, or gave no proper answer.
        """
        assert isinstance(self._process.stdin, io.BufferedWriter)
        assert isinstance(self._process.stdout, io.BufferedReader)
        patience = seconds * _PATIENCE + _START
        with self._deadline(patience):
            try:
                write_frame(self._process.stdin, job)
                return read_frame(self._process.stdout, limit=limit)
            except (BrokenFrameError, OSError) as error:
                ended = self._ended(str(error), seconds=seconds, patience=patience)
        self.close()
        raise ended

    def close(self) -> None:
        """Ends it, whatever it does, and frees its pipes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()

    @contextlib.contextmanager
    def _deadline(self, patience: int) -> Iterator[None]:
        timer = threading.Timer(patience, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        except BaseException:  # Ctrl-C does not reach its session
            self.close()
            raise
        finally:
            timer.cancel()

    def _end_late(self) -> None:
        self._late = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _ended(self, why: str, *, seconds: int, patience: int) -> ChildEndedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        code = self._process.poll()
        if self._late:
            return ChildLateError(f"did not end within {patience} seconds of the clock")
        if code == -signal.SIGXCPU:
            return ChildLateError(f"took more than {seconds} seconds of CPU time")
        if code is not None and code < 0:
            return ChildEndedError(f"was ended by {_name_signal(-code)}{self._last_words()}")
        if code is None:
            return ChildEndedError(f"gave {why}")
        return ChildEndedError(f"ended with exit code {code}{self._last_words()}")

    def _last_words(self) -> str:
        self._listener.join(timeout=5)
        lines = bytes(self._words).decode("utf-8", "replace").strip().splitlines()
        printable = "".join(c if c.isprintable() else "?" for c in lines[-1][:200]) if lines else ""
        return f" ({printable})" if printable else ""

    def _listen(self, stream: BinaryIO) -> None:
        """Takes what it prints off its hands, and keeps the end."""
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), 1 << 16):
                self._words += data
                del self._words[:-_LAST_WORDS]


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
