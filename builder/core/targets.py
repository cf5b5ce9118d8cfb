"""Platforms and ABIs that a runtime can be built for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Operating systems a runtime runs on."""

    LINUX = "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One platform and instruction set, as named on the command line by `--abi`."""

    platform: Platform
    architecture: str
    """CPU architecture in `uname -m` terms."""

    @property
    def abi(self) -> str:
        """The `--abi` name, e.g. `linux-x86_64`."""
        return f"{self.platform}-{self.architecture}"

    def __str__(self) -> str:
        return self.abi


TARGETS: tuple[Target, ...] = (
    Target(platform=Platform.LINUX, architecture="aarch64"),
    Target(platform=Platform.LINUX, architecture="x86_64"),
)
"""Every target builder knows, sorted by ABI name."""


def parse_target(abi: str) -> Target | None:
    """Returns the target named `abi`, or None when there is none."""
    return next((target for target in TARGETS if target.abi == abi), None)
