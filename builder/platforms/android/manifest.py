"""What an AAR says of itself: the contents of its `torchlite/manifest.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.core.manifest import (
    Fields,
    Manifest,
    ManifestFile,
    files_json,
    parse_files,
    parse_json,
    read_manifest,
    render_json,
)
from builder.platforms.android.package import Coordinates

MANIFEST = "torchlite/manifest.json"
"""In a folder that the Android Gradle plugin neither knows nor merges into the app."""
LICENCES = "torchlite/licenses"
SBOM = "torchlite/sbom.cdx.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryEntry:
    """The library of one ABI."""

    path: str
    """In the AAR."""
    page_size: int
    """Bytes."""
    flags: tuple[str, ...]
    runtime: Manifest
    """What it can run, and what it was made from; lists no files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AarManifest:
    """What an AAR holds for which ABI."""

    coordinates: Coordinates
    min_api: int
    pins: Mapping[str, str]
    """Source -> commit or SHA-256."""
    libraries: Mapping[str, LibraryEntry]
    """By ABI."""
    files: Mapping[str, ManifestFile]
    """Path in the AAR -> size and digest; all but the manifest itself."""

    def to_text(self) -> str:
        """Returns JSON: sorted keys, final newline, no times, no absolute paths."""
        return render_json(self._to_json())

    def _to_json(self) -> dict[str, Any]:
        return {
            "artifact": self.coordinates.artifact,
            "files": files_json(self.files),
            "group": self.coordinates.group,
            "libraries": {
                abi: {
                    "flags": list(entry.flags),
                    "page_size": entry.page_size,
                    "path": entry.path,
                    "runtime": entry.runtime.to_json(),
                }
                for abi, entry in self.libraries.items()
            },
            "min_api": self.min_api,
            "pins": dict(self.pins),
            "schema": SCHEMA,
            "version": self.coordinates.version,
        }


def parse_aar_manifest(text: str) -> AarManifest:
    """Returns the manifest written as `text`; keys that it does not know are ignored.

    Raises:
        ValueError: no JSON object, a key is missing or has another type, a schema newer than
            `SCHEMA`, a path that leaves the AAR, or no library.
    """
    fields = Fields(parse_json(text), "manifest")
    fields.schema(SCHEMA)
    libraries = fields.mapping("libraries")
    if not libraries:
        raise ValueError("'libraries' of manifest is empty")
    return AarManifest(
        coordinates=Coordinates(
            group=fields.text("group"),
            artifact=fields.text("artifact"),
            version=fields.text("version"),
        ),
        min_api=fields.integer("min_api"),
        pins=fields.named_texts("pins"),
        libraries={abi: _parse_library(abi, entry) for abi, entry in sorted(libraries.items())},
        files=parse_files(fields.get("files")),
    )


def _parse_library(abi: str, value: object) -> LibraryEntry:
    fields = Fields(value, f"library {abi!r:.40}")
    return LibraryEntry(
        path=fields.text("path"),
        page_size=fields.integer("page_size"),
        flags=fields.texts("flags"),
        runtime=read_manifest(fields.get("runtime")),
    )
