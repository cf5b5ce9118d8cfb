"""What the manifests of all packages have in common: their place, their entries, how they are read.

A package's own manifest lists the libraries that it holds, one for each ABI, each with the manifest
of the runtime that is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec

from builder.core.runtime_manifest import Files, Manifest, render_json
from builder.core.typed import parse_json, to_json

MANIFEST = "torchlite/manifest.json"
"""In a folder that the Android Gradle plugin neither knows nor merges into the app."""
LICENCES = "torchlite/licenses"
SBOM = "torchlite/sbom.cdx.json"
SCHEMA = 1
"""Version of the layout of the manifests; readers refuse a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedLibrary:
    """The library for one ABI."""

    path: str
    """Path of the library in the package; a static library can hold several CPUs."""
    flags: tuple[str, ...]
    """What it was compiled with beyond `runtime`; no paths."""
    runtime: Manifest
    """What it can run, and what it was made from; lists no files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageManifest:
    """What every package says of itself."""

    version: str
    pins: Mapping[str, str]
    """Source -> commit or SHA-256."""
    files: Files
    """Path in the package -> size and digest; all but the manifest itself."""
    schema: int = SCHEMA

    def to_text(self) -> str:
        """Returns JSON: sorted keys, final newline, no times, no absolute paths."""
        return render_json(to_json(self))


_M = TypeVar("_M", bound=PackageManifest)
_L = TypeVar("_L", bound=PackagedLibrary)
ByAbi = Annotated[Mapping[str, _L], msgspec.Meta(min_length=1)]
"""ABI -> library; a package without a library is not one."""


def parse_package_manifest(text: str, kind: type[_M]) -> _M:
    """Returns the manifest written as `text`; keys that `kind` does not have are ignored.

    Raises:
        ValueError: no JSON object, a key is missing or has another type, a schema newer than
            `SCHEMA`, a path that leaves the package, or no library.
    """
    return parse_json(text, kind, "manifest", newest=SCHEMA)
