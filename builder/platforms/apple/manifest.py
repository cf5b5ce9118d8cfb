"""What an xcframework says of itself: the contents of its `torchlite/manifest.json`."""

from __future__ import annotations

from dataclasses import dataclass

from builder.core.typed import Size
from builder.platforms.package_manifest import ByAbi, PackagedLibrary, PackageManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEntry(PackagedLibrary):
    """The static library for one ABI."""

    arch: str
    min_os: Size
    """Deployment target, as in `Target.min_os`."""
    linked: Size
    """Bytes that an app's executable grows by, its symbols stripped."""
    compressed: Size
    """The same, as a download compresses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XcframeworkManifest(PackageManifest):
    """What an xcframework holds for which ABI."""

    slices: ByAbi[SliceEntry]
