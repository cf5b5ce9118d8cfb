"""What goes into an xcframework and the packages around it, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from builder.core.components import Component
from builder.core.runtime_manifest import Manifest
from builder.core.setting_fields import Setting
from builder.core.targets import Platform, Target

FRAMEWORK = "LibTorchLite"
"""The xcframework, and the module of its C API."""
MODULE = "TorchLite"
"""The Swift module around it."""
POD = "LibTorch-Lite"
"""The published pod, so that an app changes the version and nothing else."""
ARCHIVE = "libTorchLite.a"
FRAMEWORKS = ("Accelerate",)
"""Of Apple's, that every build names; an app's linker takes what is used."""
REVISION = 1
"""Of the package around one PyTorch version; goes up when layout or Swift sources change."""

_VERSION = re.compile(r"\d+(\.\d+){1,3}(-[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleOptions:
    """What a user chooses of an Apple package; the rest follows from what is built.

    ValueError when the version or the URL of the zip archive cannot be used.
    """

    version: str | None = None
    """Version of the pod (default: PyTorch's version with a revision)."""
    url: Annotated[str | None, Setting(placeholder="URL")] = None
    """The URL at which you will publish the xcframework's zip, for SwiftPM and CocoaPods."""

    def __post_init__(self) -> None:
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise ValueError(f"{self.version!r} is not a version of a pod")
        # The URL goes into Swift and Ruby source, so quotes and backslashes are refused.
        if self.url is not None and not re.fullmatch(r"https://[^\s\"'\\]+\.zip", self.url):
            raise ValueError(f"{self.url!r} is not an https URL of a .zip, as SwiftPM requires")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleLibrary:
    """The static library for one target."""

    target: Target
    """The target, with its deployment target."""
    arch: str
    """The CPU architecture, with the name that Mach-O has for it."""
    archive: Path
    manifest: Manifest
    """The manifest of the runtime, without a list of files."""
    linked: int
    """Bytes that an app's executable grows by, its symbols stripped."""
    compressed: int
    """The same bytes after compression, as in a download."""
    flags: tuple[str, ...] = ()
    """Other facts of how it was compiled; no paths."""
    components: tuple[Component, ...] = ()
    """Third-party components in the library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleSlice:
    """The static library of one platform, for one or several CPU architectures."""

    platform: Platform
    archs: tuple[str, ...]
    archive: Path

    @property
    def identifier(self) -> str:
        """Its folder in the xcframework, as `xcodebuild` names it."""
        suffix = "-simulator" if self.platform is Platform.IOS_SIMULATOR else ""
        return f"ios-{'_'.join(self.archs)}{suffix}"

    @property
    def path(self) -> str:
        """The library in the xcframework."""
        return f"{self.identifier}/{ARCHIVE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplePackage:
    """All that one xcframework and its packages are made of."""

    version: str
    libraries: tuple[AppleLibrary, ...]
    slices: tuple[AppleSlice, ...]
    """One for each platform, made of all `libraries`."""
    headers: Mapping[str, Path]
    """The headers, by their paths below an include folder."""
    sources: Path
    """builder's folder `swift`."""
    licences: Mapping[str, Path]
    """Name -> text."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Source -> commit or SHA-256 that pins it."""
    options: AppleOptions = field(default_factory=AppleOptions)
    resources: tuple[Path, ...] = ()
    """Files for the Swift module's bundle, each by its own name."""
    frameworks: tuple[str, ...] = FRAMEWORKS
    """Apple's frameworks that an app has to link, sorted."""

    @property
    def min_os(self) -> int:
        """The newest deployment target of all libraries."""
        # A package declares one deployment target, and each slice needs at least its own.
        return max(library.target.min_os for library in self.libraries)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenApple:
    """Where an Apple package was written."""

    folder: Path
    """The folder `apple`."""
    framework: Path
    """The xcframework."""
    archive: Path
    """The zip archive of the xcframework."""
    checksum: str
    """The checksum of `archive` that SwiftPM asks for."""
    version: str
    """The version of the pod."""


def default_version(source_version: str) -> str:
    """Returns the version of a pod of this PyTorch: `2.6.0.1`, as the published pods count."""
    return f"{source_version}.{REVISION}"
