"""Running other programs, with logs and errors that can be acted on."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuilderError, NativeBuildError

LAST_LINES = 30
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished program."""

    returncode: int
    output: str
    """stdout and stderr together, as they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs programs in an environment that is a parameter, not an accident."""

    environment: Mapping[str, str]

    @classmethod
    def inherit(cls, **extra: str) -> Runner:
        """Returns a runner with this process's environment and `extra`, in the C locale."""
        return cls(environment={**os.environ, "LC_ALL": "C.UTF-8", **extra})

    def with_environment(self, **extra: str) -> Runner:
        """Returns a runner that also sets `extra`."""
        return Runner(environment={**self.environment, **extra})

    def without(self, *names: str) -> Runner:
        """Returns a runner that does not set `names`."""
        kept = {name: value for name, value in self.environment.items() if name not in names}
        return Runner(environment=kept)

    def find_program(self, name: str) -> Path | None:
        """Returns the absolute path of `name` on this runner's PATH, or None."""
        found = shutil.which(name, path=self.environment.get("PATH"))
        return Path(found).absolute() if found else None

    def run(
        self,
        command: tuple[str, ...],
        *,
        cwd: Path | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Runs `command` to its end and returns its outcome; a non-zero code does not raise.

        Output goes line by line to `on_line` and whole to `log`. When this process is
        interrupted the program's whole process group is ended first; on Linux the program also
        ends when this process is killed.

        Raises:
            NativeBuildError: the program cannot be started.
        """
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        except OSError as error:
            raise NativeBuildError(f"cannot start {command[0]}: {error.strerror}") from error
        lines: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            process.wait()
        finally:
            _end_group(process)
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
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
            BuilderError: of type `error`, naming `step`, when it exits with another code than 0.
        """
        completed = self.run(command, cwd=cwd, log=log, on_line=on_line)
        if completed.returncode != 0:
            raise error(
                failure_text(step, completed, log=log),
                hint=f"repeat it with: {_pasteable(command, cwd)}",
            )
        return completed.output


def failure_text(step: str, completed: Completed, *, log: Path | None) -> str:
    """Returns what a user needs of a failed program: step, exit code, last lines, log."""
    tail = "\n".join(f"  | {line}" for line in completed.output.splitlines()[-LAST_LINES:])
    where = f"\nfull log: {log}" if log is not None else ""
    return f"{step} failed with exit code {completed.returncode}\n{tail}{where}"


def _pasteable(command: tuple[str, ...], cwd: Path | None) -> str:
    prefix = f"cd {shlex.quote(str(cwd))} && " if cwd is not None else ""
    return prefix + shlex.join(command)


def _die_with_parent() -> None:
    """Asks the kernel to end this program when builder is gone (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()
