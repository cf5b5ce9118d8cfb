"""Runs other programs, with logs and with errors that say what to do."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuilderError, NativeBuildError
from builder.system.locks import list_held
from builder.system.trees import make_folders
from builder.system.variables import keep_variables

LAST_LINES = 30
"""Lines of output that the error of a failed program shows."""
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h."""
# Looked up here: between fork and exec, little is safe where other threads run.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_ALIVE: set[int] = set()
"""Pipes that keep programs running, by their file descriptors here."""
_CHANGING = threading.Lock()
"""Held while `_ALIVE` changes, so that each pipe is closed once."""
# Messages are searched for words, so they must not be translated.
_LOCALE = {"LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished program."""

    returncode: int
    output: str
    """stdout and stderr together, in the order in which they were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs programs with explicit environment variables."""

    environment: Mapping[str, str]

    @classmethod
    def inherit(cls, **extra: str) -> Runner:
        """Returns a runner with the environment of this process and `extra`, in the C locale."""
        return cls(environment={**os.environ, **_LOCALE, **extra})

    @classmethod
    def inherit_for_tools(cls) -> Runner:
        """Returns a runner for what makes a build: compilers, linkers, code generators, javac.

        It has only those variables of this process that do not change what these tools write.
        """
        return cls(environment={**keep_variables(os.environ), **_LOCALE})

    def with_environment(self, **extra: str) -> Runner:
        """Returns a runner that sets the variables in `extra` as well."""
        return Runner(environment={**self.environment, **extra})

    def find_program(self, name: str) -> Path | None:
        """Returns the absolute path of `name` on this runner's PATH, or None."""
        program = shutil.which(name, path=self.environment.get("PATH"))
        return Path(program).absolute() if program else None

    def run(
        self,
        command: tuple[str, ...],
        *,
        cwd: Path | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Runs `command` and returns its result; a non-zero exit code is not an error here.

        Each line of output is passed to `on_line`, and the complete output is written to `log`.
        When this process is interrupted or killed, the program and everything that it started are
        ended (`builder.system.supervisor`).

        Raises:
            NativeBuildError: the program cannot be started.
        """
        lines: list[str] = []
        with _supervised(command, cwd, dict(self.environment)) as process:
            try:
                assert process.stdout is not None
                # Read while the program runs: a full pipe would stop it.
                for line in process.stdout:
                    lines.append(line)
                    if on_line is not None:
                        on_line(line.rstrip("\n"))
                process.wait()
            # Also after an interruption: the log shows how far the program came.
            finally:
                if log is not None:
                    make_folders(log.parent)
                    log.write_text(f"$ {shlex.join(command)}\n{''.join(lines)}")
        return Completed(process.returncode, "".join(lines))

    def check(
        self,
        command: tuple[str, ...],
        *,
        step: str,
        error: type[BuilderError] = NativeBuildError,
        cwd: Path | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> str:
        """Runs `command` and returns its output.

        Raises:
            BuilderError: of type `error`, with `step`, when the exit code is not 0.
        """
        completed = self.run(command, cwd=cwd, log=log, on_line=on_line)
        if completed.returncode != 0:
            raise error(
                failure_text(step, completed, log=log),
                hint=find_remedy(completed) or f"repeat it with: {_pasteable(command, cwd)}",
            )
        return completed.output


def failure_text(step: str, completed: Completed, *, log: Path | None) -> str:
    """Returns the message for a failed program: step, exit code, last lines, path of the log."""
    tail = "\n".join(f"  | {line}" for line in completed.output.splitlines()[-LAST_LINES:])
    where = f"\nfull log: {log}" if log is not None else ""
    return f"{step} failed with exit code {completed.returncode}\n{tail}{where}"


def find_remedy(completed: Completed) -> str | None:
    """Returns a hint when the output of a tool says that a disk is full, otherwise None."""
    if "No space left on device" in completed.output:
        return "free some space; the next run continues where this one stopped"
    return None


def _pasteable(command: tuple[str, ...], cwd: Path | None) -> str:
    prefix = f"cd {shlex.quote(str(cwd))} && " if cwd is not None else ""
    return prefix + shlex.join(command)


@contextmanager
def _supervised(
    command: tuple[str, ...], cwd: Path | None, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Starts `command` under a supervisor, and ends all its processes at the end of the block."""
    # The supervisor notices the end of this process when `alive` is closed, even by SIGKILL.
    (life, alive), (start_error, report) = os.pipe(), os.pipe()
    with _CHANGING:
        _ALIVE.add(alive)
    # A tool that outlives a killed builder must not lose the lock of the folder it writes to.
    held = list_held()
    supervisor = (sys.executable, "-I", "-S", str(_SUPERVISOR), str(life), str(report))
    try:
        process = subprocess.Popen(
            (*supervisor, ",".join(map(str, held)), *command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Compilers print source lines, which may be in any encoding.
            errors="replace",
            # Ctrl-C reaches builder alone, which then ends the tool in order.
            start_new_session=True,
            pass_fds=(life, report, *held),
            preexec_fn=_adopt_orphans if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    except OSError as error:
        _close_alive(alive)
        os.close(start_error)
        raise NativeBuildError(f"cannot start {command[0]}: {error.strerror}") from error
    finally:
        os.close(life)
        os.close(report)
    try:
        _refuse_unstarted(command[0], start_error)
        yield process
    finally:
        _close_alive(alive)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _refuse_unstarted(program: str, start_error: int) -> None:
    """Waits until the supervisor has started the program; NativeBuildError when that failed."""
    with os.fdopen(start_error, "rb") as report:
        number = report.read()  # ends when the supervisor closes its end after the start
    if number:
        raise NativeBuildError(f"cannot start {program}: {os.strerror(int(number))}")


def _adopt_orphans() -> None:
    """Makes the supervisor the parent of processes that its descendants leave behind."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_programs() -> None:
    """Ends all programs that run now; those who wait for them see that they failed.

    Where programs run in several threads, an interruption reaches only one of these.
    """
    with _CHANGING:
        # One after the other leaves the set, so that an interruption here closes none twice.
        while _ALIVE:
            os.close(_ALIVE.pop())


def _close_alive(alive: int) -> None:
    with _CHANGING:
        if alive in _ALIVE:
            _ALIVE.remove(alive)
            os.close(alive)


def name_signal(number: int) -> str:
    """Returns the name of a signal, e.g. `SIGSEGV`; real-time signals have a number only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
