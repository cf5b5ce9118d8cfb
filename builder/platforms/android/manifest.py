"""What an AAR says of itself: the contents of its `torchlite/manifest.json`."""

from __future__ import annotations

from dataclasses import dataclass

from builder.core.typed import Size
from builder.platforms.android.package import Coordinates
from builder.platforms.package_manifest import ByAbi, PackagedLibrary, PackageManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryEntry(PackagedLibrary):
    """The shared library of one ABI."""

    page_size: Size
    """Bytes that its segments are aligned to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AarManifest(PackageManifest):
    """What an AAR holds for which ABI."""

    group: str
    artifact: str
    min_api: Size
    libraries: ByAbi[LibraryEntry]

    def __post_init__(self) -> None:
        _ = self.coordinates  # ValueError for what Maven cannot have

    @property
    def coordinates(self) -> Coordinates:
        """What a Gradle dependency line names."""
        return Coordinates(group=self.group, artifact=self.artifact, version=self.version)
