"""Platforms and ABIs that a runtime can be built for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Operating systems a runtime runs on."""

    ANDROID = "android"
    IOS = "ios"
    IOS_SIMULATOR = "ios-simulator"
    LINUX = "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One platform and instruction set, as named on the command line by `--abi`."""

    platform: Platform
    architecture: str
    """CPU architecture in `uname -m` terms."""
    min_os: int = 0
    """Oldest version of the platform that runs it: Android's API level; Apple's version as its
    headers number it, e.g. 140000 for 14.0; 0 elsewhere."""

    @property
    def abi(self) -> str:
        """The `--abi` name: Android's own, e.g. `arm64-v8a`; or e.g. `ios-arm64`."""
        return _ABIS.get((self.platform, self.architecture), f"{self.platform}-{self.architecture}")

    @property
    def id(self) -> str:
        """Names what decides the bytes, e.g. `android-arm64-v8a-21`, `ios-arm64-14.0`."""
        if self.is_apple:
            return f"{self.abi}-{format_os_version(self.min_os)}"
        return f"{self.platform}-{self.abi}-{self.min_os}" if self.min_os else self.abi

    @property
    def is_android(self) -> bool:
        """Whether runtimes for it go into an AAR."""
        return self.platform is Platform.ANDROID

    @property
    def is_apple(self) -> bool:
        """Whether runtimes for it go into an xcframework."""
        return self.platform in {Platform.IOS, Platform.IOS_SIMULATOR}

    def __str__(self) -> str:
        return self.abi


MIN_API = 21
"""The oldest API level that builder builds for: the first with 64-bit processors (Android 5.0)."""

MIN_IOS = 140000
"""The deployment target where none is chosen: the first with simulators on arm64."""

_ABIS = {
    (Platform.ANDROID, "aarch64"): "arm64-v8a",
    (Platform.ANDROID, "armv7l"): "armeabi-v7a",
    (Platform.ANDROID, "i686"): "x86",
    (Platform.ANDROID, "x86_64"): "x86_64",
    (Platform.IOS, "aarch64"): "ios-arm64",
    (Platform.IOS_SIMULATOR, "aarch64"): "ios-simulator-arm64",
    (Platform.LINUX, "armv7l"): "linux-armhf",
}

TARGETS: tuple[Target, ...] = (
    Target(platform=Platform.ANDROID, architecture="aarch64", min_os=MIN_API),
    Target(platform=Platform.ANDROID, architecture="armv7l", min_os=MIN_API),
    Target(platform=Platform.IOS, architecture="aarch64", min_os=MIN_IOS),
    Target(platform=Platform.IOS_SIMULATOR, architecture="aarch64", min_os=MIN_IOS),
    Target(platform=Platform.IOS_SIMULATOR, architecture="x86_64", min_os=MIN_IOS),
    Target(platform=Platform.LINUX, architecture="aarch64"),
    Target(platform=Platform.LINUX, architecture="armv7l"),
    Target(platform=Platform.LINUX, architecture="x86_64"),
    Target(platform=Platform.ANDROID, architecture="i686", min_os=MIN_API),
    Target(platform=Platform.ANDROID, architecture="x86_64", min_os=MIN_API),
)
"""Every target builder knows, sorted by ABI name."""


def parse_os_version(text: str) -> int:
    """Returns `14.0` as 140000, as Apple's headers number it; ValueError when it is none."""
    match = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?", text)
    if match is None:
        raise ValueError(f"{text!r} is no version of iOS")
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major * 10000 + minor * 100 + patch


def format_os_version(number: int) -> str:
    """Returns 140000 as `14.0`, 150201 as `15.2.1`."""
    major, minor, patch = number // 10000, number // 100 % 100, number % 100
    return f"{major}.{minor}" + (f".{patch}" if patch else "")


def parse_target(abi: str) -> Target | None:
    """Returns the target named `abi`, or None when there is none."""
    return next((target for target in TARGETS if target.abi == abi), None)
