"""Python's package index as a provider, through its own client."""

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

_PLATFORM_PARTS = 2
"""Name and version stand before the tags in a wheel's name (PEP 427)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelProvider:
    """pip, with the indexes and proxies that the user configured; nothing is installed or run."""

    runner: Runner
    store: ArchiveStore

    @property
    def name(self) -> str:
        """How messages call it."""
        return "pip"

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Has pip download the wheel, whose bytes must be the pin's."""
        pip = self._find_pip()
        if pip is None:
            raise Unavailable("pip is not installed (apt install python3-pip)")
        self.store.folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self.store.folder) as folder:
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
            found = folder / pin.file
            if completed.returncode != 0 or not found.is_file():
                lines = completed.output.strip().splitlines() or ["pip found another file"]
                raise Unavailable(lines[-1])
            on_bytes(pin.size)
            return deliver_archive(pin, self.store.admit(pin, found, "pip"), self.name)

    def _find_pip(self) -> tuple[str, ...] | None:
        own = (sys.executable, "-m", "pip")
        if self.runner.run((*own, "--version")).returncode == 0:
            return own
        program = self.runner.find_program("pip3") or self.runner.find_program("pip")
        return (str(program),) if program else None
