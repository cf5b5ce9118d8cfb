"""Where a runtime's program runs: on this machine, through an emulator, or on a device."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from builder.core.targets import Platform
from builder.errors import BuilderError, VerificationError
from builder.system.emulators import find_emulator
from builder.system.process import Completed, Runner, failure_text
from builder.verify.runtime import Runtime

_DEVICE_FOLDER = PurePosixPath("/data/local/tmp")
"""Where adb's user may write and execute (https://developer.android.com/tools/adb)."""


class Host(Protocol):
    """Runs programs; files have to be put there first, and got from there afterwards."""

    def put(self, file: Path) -> str:
        """Returns what `file` is called there."""

    def folder(self, local: Path) -> str:
        """Returns what stands there for the folder `local`, for a program to write into."""

    def get(self, names: Sequence[str], local: Path) -> None:
        """Brings files that a program wrote into the folder of `local`."""

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs `command`, which finds shared libraries in the folder of `libraries`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHost:
    """This machine, perhaps through a command that runs programs made for another."""

    runner: Runner
    prefix: tuple[str, ...] = ()
    names_libraries: bool = False
    """Whether the loader is told where libraries are; Android's before API level 24 has to be."""

    def put(self, file: Path) -> str:
        """Returns the path as it is."""
        return str(file)

    def folder(self, local: Path) -> str:
        """Returns the path as it is."""
        return str(local)

    def get(self, names: Sequence[str], local: Path) -> None:
        """Does nothing: they are there."""

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs it; without being told, it finds libraries beside its own folder."""
        runner = self.runner
        if self.names_libraries:
            runner = runner.with_environment(LD_LIBRARY_PATH=str(libraries))
        return runner.run((*self.prefix, *command))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbHost:
    """A device or emulator of Android, reached through adb."""

    runner: Runner
    adb: tuple[str, ...]
    """The program, and perhaps which device: `adb -s emulator-5554`."""
    root: PurePosixPath
    """Folder on the device, ours alone."""
    there: dict[Path, str] = field(default_factory=dict)
    """What was put there."""

    def put(self, file: Path) -> str:
        """Copies `file` to the device unless it is there."""
        if file not in self.there:
            remote = str(self.root / f"{len(self.there)}-{_plain(file.name)}")
            if file.suffix == ".so":  # programs look for it by its name
                remote = str(self.root / file.name)
            self._adb("push", str(file), remote)
            self.there[file] = remote
        return self.there[file]

    def folder(self, local: Path) -> str:
        """Returns one folder for all."""
        del local
        return str(self.root)

    def get(self, names: Sequence[str], local: Path) -> None:
        """Copies files from the device."""
        for name in names:
            self._adb("pull", str(self.root / name), str(local / name))

    def run(self, command: tuple[str, ...], *, libraries: Path) -> Completed:
        """Runs it in the device's shell."""
        for library in sorted(libraries.glob("*.so")):
            self.put(library)
        program, *arguments = command
        quoted = " ".join(map(shlex.quote, (program, *arguments)))
        line = f"chmod 755 {shlex.quote(program)} && LD_LIBRARY_PATH={self.root} {quoted}"
        return self.runner.run((*self.adb, "shell", line))

    def _adb(self, *arguments: str) -> None:
        completed = self.runner.run((*self.adb, *arguments))
        if completed.returncode != 0:
            raise VerificationError(
                failure_text(f"{' '.join(self.adb)} {arguments[0]}", completed, log=None),
                hint="see which devices are there: adb devices -l",
            )


@contextmanager
def open_host(runtime: Runtime, runner: Runner, *, via: str = "") -> Iterator[Host]:
    """Gives what runs programs of `runtime`, and removes what was put there.

    Args:
        runtime: whose programs are to run.
        runner: runs emulators and adb.
        via: a command to put in front of programs, or `adb shell` with adb's own options; what
            is installed for the processor when empty.

    Raises:
        VerificationError: nothing here runs such programs, or the device does not answer.
    """
    words = tuple(shlex.split(via))
    if not words:
        yield _find_local(runtime, runner)
    elif Path(words[0]).name not in {"adb", "adb.exe"}:
        yield LocalHost(runner=runner, prefix=words, names_libraries=True)
    else:
        adb = words[:-1] if words[-1] == "shell" else words
        host = AdbHost(runner=runner, adb=adb, root=_DEVICE_FOLDER / f"builder-{uuid.uuid4().hex}")
        _create(host)
        try:
            yield host
        finally:
            runner.run((*adb, "shell", f"rm -rf {host.root}"))


def _create(host: AdbHost) -> None:
    try:
        completed = host.runner.run((*host.adb, "shell", f"mkdir -p {host.root}"))
    except BuilderError as error:
        raise VerificationError(error.message, hint="apt install adb") from error
    if completed.returncode != 0:
        raise VerificationError(
            failure_text("reaching the device", completed, log=None),
            hint="see which devices are there: adb devices -l",
        )


def _find_local(runtime: Runtime, runner: Runner) -> LocalHost:
    if runtime.target is not None and runtime.target.platform is Platform.ANDROID:
        raise VerificationError(
            f"{runtime.root} is for Android, and no device was named",
            hint="run it on a connected device: builder verify MODEL --runtime "
            f"{shlex.quote(str(runtime.root))} --adb; or by a command: --via 'qemu-aarch64 -L ...'",
        )
    return LocalHost(runner=runner, prefix=find_emulator(runtime.architecture, runner) or ())


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
