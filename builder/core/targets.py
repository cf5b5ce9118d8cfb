"""The platforms and ABIs that builder can build a runtime for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Operating systems that a runtime can run on."""

    ANDROID = "android"
    IOS = "ios"
    IOS_SIMULATOR = "ios-simulator"
    LINUX = "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One platform and CPU architecture; the setting `targets.abis` names it."""

    platform: Platform
    architecture: str
    """CPU architecture, with the name that `uname -m` prints."""
    min_os: int = 0
    """Oldest version of the platform that can run it.

    Android has API levels. Apple's headers number a version such as 14.0 as 140000. Other platforms
    have 0.
    """

    @property
    def abi(self) -> str:
        """The name in the setting `targets.abis`: Android's own, or one like `ios-arm64`."""
        return _ABIS.get((self.platform, self.architecture), f"{self.platform}-{self.architecture}")

    @property
    def id(self) -> str:
        """A name with everything that decides bytes: `android-arm64-v8a-21`, `ios-arm64-14.0`."""
        if self.is_apple:
            return f"{self.abi}-{format_os_version(self.min_os)}"
        return f"{self.platform}-{self.abi}-{self.min_os}" if self.min_os else self.abi

    @property
    def is_android(self) -> bool:
        """Whether runtimes for it are packaged as an AAR."""
        return self.platform is Platform.ANDROID

    @property
    def is_apple(self) -> bool:
        """Whether runtimes for it are packaged as an xcframework."""
        return self.platform in {Platform.IOS, Platform.IOS_SIMULATOR}

    def __str__(self) -> str:
        return self.abi


MIN_API = 21
"""The oldest API level that builder supports: the first with 64-bit CPUs (Android 5.0)."""

MIN_IOS = 140000
"""The default deployment target: the first version with simulators on arm64."""

# Names that are not just platform and architecture.
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
"""All targets that builder supports, sorted by the name of the ABI."""


def parse_os_version(text: str) -> int:
    """Returns 140000 for `14.0`, the number in Apple's headers; ValueError for other text."""
    # Each part has two digits in the number, so longer parts would run into each other.
    match = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?", text)
    if match is None:
        raise ValueError(f"{text!r} is not a version of iOS")
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major * 10000 + minor * 100 + patch


def format_os_version(number: int) -> str:
    """Returns `14.0` for 140000, and `15.2.1` for 150201."""
    major, minor, patch = number // 10000, number // 100 % 100, number % 100
    return f"{major}.{minor}" + (f".{patch}" if patch else "")


def parse_target(abi: str) -> Target | None:
    """Returns the target with the name `abi`, or None when it does not exist."""
    return next((target for target in TARGETS if target.abi == abi), None)
