"""A built runtime on disk, found and known by its manifest; nothing is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.core.manifest import Manifest, parse_manifest
from builder.core.targets import Target, parse_target
from builder.errors import ConfigurationError, VerificationError

MANIFEST = "manifest.json"
RUNNER = Path("bin", "torchlite-run")
LIBRARIES = "lib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The folder of one ABI."""

    root: Path
    manifest: Manifest

    @property
    def runner(self) -> Path:
        """The program that runs a model on this runtime."""
        return self.root / RUNNER

    @property
    def architecture(self) -> str:
        """The processor it is for, in `uname -m` terms."""
        return self.target.architecture if self.target else self.manifest.abi.rpartition("-")[2]

    @property
    def target(self) -> Target | None:
        """What it was built for; None where this builder does not know it."""
        return parse_target(self.manifest.abi)

    @property
    def libraries(self) -> Path:
        """Folder of the library and of what it needs beside it."""
        return self.root / LIBRARIES


def has_runtime(path: Path, *, host_abi: str) -> bool:
    """Returns whether `path` is the folder of a runtime, or an output folder with the host's."""
    return (path / MANIFEST).is_file() or (path / host_abi / MANIFEST).is_file()


def locate_runtime(path: Path, *, host_abi: str, to_run: bool = True) -> Runtime:
    """Returns the runtime at `path`: an output folder, the folder of an ABI, or the library.

    Of several ABIs in one output folder it is that of `host_abi`.

    Args:
        path: see above.
        host_abi: ABI of this machine.
        to_run: whether it is of use only with the program that runs models on it.

    Raises:
        ConfigurationError: there is none, or several and none for this machine.
        VerificationError: its manifest cannot be read.
    """
    folder = path.parent.parent if path.is_file() else path
    if not (folder / MANIFEST).is_file():
        folder = _choose_abi(path, host_abi)
    try:
        manifest = parse_manifest((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerificationError(
            f"{folder / MANIFEST} is no manifest: {error}",
            hint=f"build it again: builder build MODEL --abi {host_abi} -o {path}",
        ) from error
    runtime = Runtime(root=folder, manifest=manifest)
    if to_run and runtime.target and runtime.target.is_apple:
        raise VerificationError(
            f"nothing here runs {manifest.abi}: it is a static library for an app",
            hint=f"build for this machine too, and run that: builder build MODEL --abi {host_abi}",
        )
    if to_run and not runtime.runner.is_file():
        raise VerificationError(f"the runtime has no {runtime.runner}", hint="build it again")
    return runtime


def _choose_abi(path: Path, host_abi: str) -> Path:
    folders = sorted(manifest.parent for manifest in path.glob(f"*/{MANIFEST}"))
    if not folders:
        raise ConfigurationError(
            f"no built runtime at {path}",
            hint=f"build one: builder build MODEL --abi {host_abi} -o {path}",
        )
    if len(folders) == 1:
        return folders[0]
    if path / host_abi in folders:
        return path / host_abi
    raise ConfigurationError(
        f"{path} holds several runtimes, none for {host_abi}",
        hint=f"choose one: --runtime {folders[0]}",
    )
