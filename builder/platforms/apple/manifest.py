"""What an xcframework says of itself: the contents of its `torchlite/manifest.json`."""

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

MANIFEST = "torchlite/manifest.json"
LICENCES = "torchlite/licenses"
SBOM = "torchlite/sbom.cdx.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEntry:
    """The library for one ABI."""

    path: str
    """Of the static library in the xcframework; of several processors, one holds all."""
    arch: str
    min_os: int
    """Deployment target, as in `Target.min_os`."""
    flags: tuple[str, ...]
    linked: int
    """Bytes that an app's executable grows by, its symbols stripped."""
    compressed: int
    """The same, as a download compresses it."""
    runtime: Manifest
    """What it can run, and what it was made from; lists no files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XcframeworkManifest:
    """What an xcframework holds for which ABI."""

    version: str
    pins: Mapping[str, str]
    """Source -> commit or SHA-256."""
    slices: Mapping[str, SliceEntry]
    """By ABI."""
    files: Mapping[str, ManifestFile]
    """Path in the xcframework -> size and digest; all but the manifest itself."""

    def to_text(self) -> str:
        """Returns JSON: sorted keys, final newline, no times, no absolute paths."""
        return render_json(self._to_json())

    def _to_json(self) -> dict[str, Any]:
        return {
            "files": files_json(self.files),
            "pins": dict(self.pins),
            "schema": SCHEMA,
            "slices": {
                abi: {
                    "arch": entry.arch,
                    "compressed": entry.compressed,
                    "flags": list(entry.flags),
                    "linked": entry.linked,
                    "min_os": entry.min_os,
                    "path": entry.path,
                    "runtime": entry.runtime.to_json(),
                }
                for abi, entry in self.slices.items()
            },
            "version": self.version,
        }


def parse_xcframework_manifest(text: str) -> XcframeworkManifest:
    """Returns the manifest written as `text`; keys that it does not know are ignored.

    Raises:
        ValueError: no JSON object, a key is missing or has another type, a schema newer than
            `SCHEMA`, a path that leaves the xcframework, or no slice.
    """
    fields = Fields(parse_json(text), "manifest")
    fields.schema(SCHEMA)
    slices = fields.mapping("slices")
    if not slices:
        raise ValueError("'slices' of manifest is empty")
    return XcframeworkManifest(
        version=fields.text("version"),
        pins=fields.named_texts("pins"),
        slices={abi: _parse_slice(abi, entry) for abi, entry in sorted(slices.items())},
        files=parse_files(fields.get("files")),
    )


def _parse_slice(abi: str, value: object) -> SliceEntry:
    fields = Fields(value, f"slice {abi!r:.40}")
    return SliceEntry(
        path=fields.text("path"),
        arch=fields.text("arch"),
        min_os=fields.integer("min_os"),
        flags=fields.texts("flags"),
        linked=fields.integer("linked"),
        compressed=fields.integer("compressed"),
        runtime=read_manifest(fields.get("runtime")),
    )
