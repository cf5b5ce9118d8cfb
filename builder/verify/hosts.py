"""Runs programs of a runtime: on this machine, through an emulator, or on a device."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from builder.core.targets import Platform
from builder.errors import BuilderError, Hint, Run, Use, VerificationError
from builder.system.emulators import find_emulator
from builder.system.process import Completed, Runner, failure_text
from builder.verify.runtime import Runtime

_DEVICE_FOLDER = PurePosixPath("/data/local/tmp")
"""Where adb's user may write and execute (https://developer.android.com/tools/adb)."""


class Host(Protocol):
    """A place that runs programs; `put` copies files to it, and `get` copies them back."""

    def put(self, file: Path) -> str:
        """Makes `file` available on the host and returns its path there."""

    def folder(self, local: Path) -> str:
        """Returns the folder on the host into which a program writes files for `local`."""

    def get(self, names: Sequence[str], local: Path) -> None:
        """Copies files that a program wrote to the local folder `local`."""

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs `command`, which finds shared libraries in the local folder `libraries`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHost:
    """This machine, if needed through a command that runs programs for another CPU."""

    runner: Runner
    prefix: tuple[str, ...] = ()
    names_libraries: bool = False
    """Whether to set LD_LIBRARY_PATH; the loader of Android before API level 24 needs it."""

    def put(self, file: Path) -> str:
        """Returns the path unchanged."""
        return str(file)

    def folder(self, local: Path) -> str:
        """Returns the path unchanged."""
        return str(local)

    def get(self, names: Sequence[str], local: Path) -> None:
        """Does nothing: the program has written to the local folder."""

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs `command`; by default its loader finds the libraries next to its own folder."""
        runner = self.runner
        if self.names_libraries:
            runner = runner.with_environment(LD_LIBRARY_PATH=str(libraries))
        return runner.run((*self.prefix, *command))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbHost:
    """An Android device or emulator that is reached through adb."""

    runner: Runner
    adb: tuple[str, ...]
    """The adb program, with options that choose a device: `adb -s emulator-5554`."""
    root: PurePosixPath
    """A folder on the device that only this host uses."""
    copied: dict[Path, str] = field(default_factory=dict)
    """Local files that are on the device -> their paths there."""

    def put(self, file: Path) -> str:
        """Copies `file` to the device, unless it was copied before."""
        if file not in self.copied:
            remote = str(self.root / f"{len(self.copied)}-{_plain(file.name)}")
            if file.suffix == ".so":  # the loader looks for it by its name
                remote = str(self.root / file.name)
            self._adb("push", str(file), remote)
            self.copied[file] = remote
        return self.copied[file]

    def folder(self, local: Path) -> str:
        """Returns the folder on the device, the same for every local folder."""
        del local
        return str(self.root)

    def get(self, names: Sequence[str], local: Path) -> None:
        """Copies files from the device."""
        for name in names:
            self._adb("pull", str(self.root / name), str(local / name))

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs `command` in the shell of the device."""
        # The loader of Android finds libraries by their names in LD_LIBRARY_PATH.
        for library in sorted(libraries.glob("*.so")):
            self.put(library)
        program, *arguments = command
        quoted = " ".join(map(shlex.quote, (program, *arguments)))
        # adb push does not keep the permission to execute.
        line = f"chmod 755 {shlex.quote(program)} && LD_LIBRARY_PATH={self.root} {quoted}"
        return self.runner.run((*self.adb, "shell", line))

    def _adb(self, *arguments: str) -> None:
        completed = self.runner.run((*self.adb, *arguments))
        if completed.returncode != 0:
            raise VerificationError(
                failure_text(f"{' '.join(self.adb)} {arguments[0]}", completed, log=None),
                hint="list the connected devices: adb devices -l",
            )


@contextmanager
def open_host(runtime: Runtime, runner: Runner, *, via: str = "") -> Iterator[Host]:
    """Yields a host that runs programs of `runtime`; at the end, removes files from the device.

    Args:
        runtime: the runtime whose programs will run.
        runner: starts emulators and adb.
        via: a command to put in front of programs, or `adb shell` with options of adb; empty: an
            installed emulator for the CPU of the runtime, if this machine needs one.

    Raises:
        VerificationError: this machine cannot run such programs, or the device does not answer.
    """
    words = tuple(shlex.split(via))
    if not words:
        yield _find_local(runtime, runner)
    elif Path(words[0]).name not in {"adb", "adb.exe"}:
        # A command of the user may be an emulator for Android, whose loader needs the variable.
        yield LocalHost(runner=runner, prefix=words, names_libraries=True)
    else:
        adb = words[:-1] if words[-1] == "shell" else words
        # A folder with a random name, so that two runs on one device do not meet.
        host = AdbHost(runner=runner, adb=adb, root=_DEVICE_FOLDER / f"builder-{uuid.uuid4().hex}")
        _create(host)
        try:
            yield host
        finally:
            # Also after a failure: the device belongs to the user.
            runner.run((*adb, "shell", f"rm -rf {host.root}"))


def _create(host: AdbHost) -> None:
    try:
        completed = host.runner.run((*host.adb, "shell", f"mkdir -p {host.root}"))
    except BuilderError as error:
        raise VerificationError(error.message, hint="apt install adb") from error
    if completed.returncode != 0:
        raise VerificationError(
            failure_text("reaching the device", completed, log=None),
            hint="list the connected devices: adb devices -l",
        )


def _find_local(runtime: Runtime, runner: Runner) -> LocalHost:
    if runtime.target is not None and runtime.target.platform is Platform.ANDROID:
        raise VerificationError(
            f"{runtime.root} is for Android: it needs a device or an emulator",
            hint=Hint(
                "run it on a connected device: ",
                Run("verify", ("MODEL", Use("runtime", runtime.root), Use("via", "adb shell"))),
                *("; or through a command: ", Use("via", "qemu-aarch64 -L ...")),
            ),
        )
    return LocalHost(runner=runner, prefix=find_emulator(runtime.architecture, runner) or ())


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
