"""Finds a built runtime on disk and reads its manifest, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.core.runtime_manifest import Manifest, parse_manifest
from builder.core.targets import Target, parse_target
from builder.core.typed import MAX_JSON
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.system.files import describe_absent, leads_nowhere, read_regular

MANIFEST = "manifest.json"
RUNNER = Path("bin", "torchlite-run")
LIBRARIES = "lib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A built runtime: the folder of one ABI."""

    root: Path
    manifest: Manifest

    @property
    def runner(self) -> Path:
        """The program that runs a model on this runtime."""
        return self.root / RUNNER

    @property
    def architecture(self) -> str:
        """The CPU architecture of the runtime, as `uname -m` names it."""
        return self.target.architecture if self.target else self.manifest.abi.rpartition("-")[2]

    @property
    def target(self) -> Target | None:
        """The target of the runtime; None if this version of builder does not know it."""
        return parse_target(self.manifest.abi)

    @property
    def libraries(self) -> Path:
        """The folder with the library, and with other libraries that it needs."""
        return self.root / LIBRARIES


def has_runtime(path: Path, *, host_abi: str) -> bool:
    """Returns whether `path` is the folder of a runtime, or contains the runtime of the host."""
    return (path / MANIFEST).is_file() or (path / host_abi / MANIFEST).is_file()


def locate_runtime(path: Path, *, host_abi: str, to_run: bool = True) -> Runtime:
    """Returns the runtime at `path`; if that contains several ABIs, the one for `host_abi`.

    Args:
        path: an output folder of `builder build`, the folder of an ABI, or the library file.
        host_abi: ABI of this machine.
        to_run: whether the caller needs the program that runs models on the runtime.

    Raises:
        ConfigurationError: there is no runtime, or there are several and none for this machine.
        VerificationError: the manifest cannot be read, or the runtime cannot be run.
    """
    # `<ABI>/lib/<library>`: the folder of the ABI is two levels up.
    folder = path.parent.parent if path.is_file() else path
    if not (folder / MANIFEST).is_file():
        folder = _choose_abi(path, host_abi)
    try:
        manifest = parse_manifest(read_regular(folder / MANIFEST, MAX_JSON).decode())
    except (OSError, ValueError) as error:
        raise VerificationError(
            f"{folder / MANIFEST} is not a valid manifest: {error}",
            hint=Hint("build the runtime again: ", _build(host_abi, Use("output", path))),
        ) from error
    runtime = Runtime(root=folder, manifest=manifest)
    # A static library cannot be run without the app that links it.
    if to_run and runtime.target and runtime.target.is_apple:
        raise VerificationError(
            f"builder cannot run {manifest.abi}: the runtime is a static library for an app",
            hint=Hint("build for this machine too, and run that runtime: ", _build(host_abi)),
        )
    if to_run and not runtime.runner.is_file():
        raise VerificationError(
            f"the runtime lacks its program {runtime.runner}", hint="build the runtime again"
        )
    return runtime


def _build(abi: str, *settings: Use) -> Run:
    return Run("build", ("MODEL", Use("targets.abis", abi), *settings))


def _choose_abi(path: Path, host_abi: str) -> Path:
    folders = sorted(
        manifest.parent
        for manifest in path.glob(f"*/{MANIFEST}")
        if manifest.parent.name.isprintable()  # as the names of all ABIs are
    )
    if not folders:
        why, output = "", [Use("output", path)]
        if path.exists() and not path.is_dir():
            why, output = ": it is not a folder", []
        elif leads_nowhere(path):
            why = f": it {describe_absent(path)}"
        raise ConfigurationError(
            f"there is no built runtime at {path}{why}",
            hint=Hint("build one: ", _build(host_abi, *output)),
        )
    if len(folders) == 1:
        return folders[0]
    if path / host_abi in folders:
        return path / host_abi
    raise ConfigurationError(
        f"{path} contains several runtimes, but none for {host_abi}",
        hint=Hint("choose one: ", Use("runtime", folders[0])),
    )
