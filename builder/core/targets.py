"""Platforms and ABIs that a runtime can be built for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Operating systems a runtime runs on."""

    ANDROID = "android"
    LINUX = "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One platform and instruction set, as named on the command line by `--abi`."""

    platform: Platform
    architecture: str
    """CPU architecture in `uname -m` terms."""
    min_os: int = 0
    """Oldest version of the platform that runs it: Android's API level, 0 elsewhere."""

    @property
    def abi(self) -> str:
        """The `--abi` name: Android's own, e.g. `arm64-v8a`, or e.g. `linux-x86_64`."""
        return _ABIS.get((self.platform, self.architecture), f"{self.platform}-{self.architecture}")

    @property
    def id(self) -> str:
        """Names what decides the bytes, e.g. `android-arm64-v8a-21`."""
        return f"{self.platform}-{self.abi}-{self.min_os}" if self.min_os else self.abi

    @property
    def is_android(self) -> bool:
        """Whether runtimes for it go into an AAR."""
        return self.platform is Platform.ANDROID

    def __str__(self) -> str:
        return self.abi


MIN_API = 21
"""The oldest API level that builder builds for: the first with 64-bit processors (Android 5.0)."""

_ABIS = {
    (Platform.ANDROID, "aarch64"): "arm64-v8a",
    (Platform.ANDROID, "armv7l"): "armeabi-v7a",
    (Platform.ANDROID, "i686"): "x86",
    (Platform.ANDROID, "x86_64"): "x86_64",
    (Platform.LINUX, "armv7l"): "linux-armhf",
}

TARGETS: tuple[Target, ...] = (
    Target(platform=Platform.ANDROID, architecture="aarch64", min_os=MIN_API),
    Target(platform=Platform.ANDROID, architecture="armv7l", min_os=MIN_API),
    Target(platform=Platform.LINUX, architecture="aarch64"),
    Target(platform=Platform.LINUX, architecture="armv7l"),
    Target(platform=Platform.LINUX, architecture="x86_64"),
    Target(platform=Platform.ANDROID, architecture="i686", min_os=MIN_API),
    Target(platform=Platform.ANDROID, architecture="x86_64", min_os=MIN_API),
)
"""Every target builder knows, sorted by ABI name."""


def parse_target(abi: str) -> Target | None:
    """Returns the target named `abi`, or None when there is none."""
    return next((target for target in TARGETS if target.abi == abi), None)
