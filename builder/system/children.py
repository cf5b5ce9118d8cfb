"""Runs work that may crash, loop or use all memory in separate Python processes.

A child receives jobs and sends answers as `Frame`s through pipes. When a child fails, builder goes
on and reports the reason: the signal, or the limit that was reached.
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
from typing import BinaryIO

from builder.errors import BuilderError
from builder.system.folders import package_folder
from builder.system.frames import BrokenFrameError, Frame, read_frame, write_frame
from builder.system.process import name_signal

MAX_ANSWER = 2 << 30
"""Largest answer in bytes; answers contain the tensors that builder compares."""
_PATIENCE = 4
"""Seconds of real time per second of CPU time: on a busy machine, a child waits for a CPU."""
_START = 300
"""Seconds of real time that the import of torch may take."""
_LAST_WORDS = 4096
"""Bytes that are kept of the output of a child; its last line is shown when it fails."""
_ENTRY = (
    "import importlib, sys; sys.path[:] = sys.argv[2:]; importlib.import_module(sys.argv[1]).main()"
)


class ChildEndedError(BuilderError):
    """A child ended during a job; the message says why."""

    by_limit = False
    """Whether the child was ended because it reached the time limit."""


class ChildLateError(ChildEndedError):
    """A child was ended because it reached the time limit."""

    by_limit = True


class PythonChild:
    """A Python process that runs `main()` of a module of builder; only one thread may use it."""

    def __init__(self, module: str) -> None:
        """Starts the process, with the import path of this process."""
        root = str(package_folder("").parent)
        # The root first, so that the child runs the same builder.
        path = [root, *(entry for entry in sys.path if entry and entry != root)]
        self._late = False
        self._process = subprocess.Popen(
            # -S: the import path is passed complete. -I includes -P: nothing is imported from the
            # working folder, which may contain an untrusted model.
            (sys.executable, "-I", "-S", "-B", "-c", _ENTRY, module, *path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,  # so that `close` can end the whole process group
        )
        assert self._process.stderr is not None
        self._words = bytearray()
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the child can take another job."""
        return self._process.poll() is None

    def ask(self, job: Frame, *, seconds: int, limit: int = MAX_ANSWER) -> Frame:
        """Returns the answer to `job`.

        Args:
            job: the job.
            seconds: seconds of CPU time, a limit that the child sets for itself; this process waits
                a few times longer.
            limit: largest number of bytes in the answer.

        Raises:
            ChildEndedError: the child ended, reached the limit, or sent an invalid answer.
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
        """Ends the child, whatever it is doing, and closes its pipes."""
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
        except BaseException:  # Ctrl-C does not reach the child, which has a session of its own
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
            return ChildLateError(f"did not end within {patience} seconds of real time")
        if code == -signal.SIGXCPU:
            return ChildLateError(f"took more than {seconds} seconds of CPU time")
        if code is not None and code < 0:
            return ChildEndedError(f"was ended by {name_signal(-code)}{self._last_words()}")
        # It still runs, so it has sent something that is no message.
        if code is None:
            return ChildEndedError(f"sent an invalid answer: {why}")
        return ChildEndedError(f"ended with exit code {code}{self._last_words()}")

    def _last_words(self) -> str:
        self._listener.join(timeout=5)
        lines = bytes(self._words).decode("utf-8", "replace").strip().splitlines()
        printable = "".join(c if c.isprintable() else "?" for c in lines[-1][:200]) if lines else ""
        return f" ({printable})" if printable else ""

    def _listen(self, stream: BinaryIO) -> None:
        """Reads the output of the child, so its pipe is never full, and keeps the end of it."""
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), 1 << 16):
                self._words += data
                del self._words[:-_LAST_WORDS]
