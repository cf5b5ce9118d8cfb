"""A provider that downloads wheels with pip."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.core.sources import SourcePin
from builder.sources.providers import Delivery, Unavailable, deliver_archive
from builder.sources.store import ArchiveStore
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.system.trees import make_folders

_PLATFORM_PARTS = 2
"""The name of a wheel has two parts, name and version, before its tags (PEP 427)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelProvider:
    """pip, with the indexes and proxies of the user; nothing is installed or run."""

    runner: Runner
    store: ArchiveStore

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return "pip"

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Lets pip download the wheel, and checks that it has the digest of the pin."""
        pip = self._find_pip()
        if pip is None:
            raise Unavailable("pip is not installed (apt install python3-pip)")
        make_folders(self.store.folder)
        with scratch_folder(self.store.folder) as folder:
            # The wheel must fit its pin, not this Python, so pip gets all tags from the file name.
            tags = Path(pin.file).stem.split("-")[_PLATFORM_PARTS:]
            completed = self.runner.run(
                (
                    *(*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
                    *("--only-binary", ":all:", "--implementation", tags[0][:2]),
                    *("--abi", tags[1]),
                    *(part for tag in tags[2].split(".") for part in ("--platform", tag)),
                    *("--dest", str(folder), f"{pin.package}=={pin.version}"),
                )
            )
            wheel = folder / pin.file
            # pip may choose another build of the version, whose name differs.
            if completed.returncode != 0 or not wheel.is_file():
                lines = completed.output.strip().splitlines() or ["pip downloaded another file"]
                raise Unavailable(lines[-1])
            on_bytes(pin.size)
            return deliver_archive(pin, self.store.admit(pin, wheel, "pip"), self.name)

    def _find_pip(self) -> tuple[str, ...] | None:
        module = (sys.executable, "-m", "pip")
        if self.runner.run((*module, "--version")).returncode == 0:
            return module
        program = self.runner.find_program("pip3") or self.runner.find_program("pip")
        return (str(program),) if program else None
