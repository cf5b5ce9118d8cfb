"""The manifest of a built runtime: the contents of its `manifest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from builder.core.cores import Core
from builder.core.dtypes import DtypeSet
from builder.core.model_facts import BytecodeVersions, ModelOrigin
from builder.core.operators import Operator
from builder.core.setting_fields import Text
from builder.core.typed import InnerPath, Sha256, Size, parse_json, to_json

SCHEMA = 1
"""Version of the layout of the manifest; readers refuse a newer version."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
Schema = Annotated[int, msgspec.Meta(ge=0, le=SCHEMA)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """Size and digest of one file of the runtime."""

    size: Size
    sha256: Sha256


Files = Mapping[InnerPath, ManifestFile]
"""POSIX path relative to the folder of the manifest -> size and digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The facts of one runtime: what it can run, and what it was built from."""

    abi: str
    operators: tuple[Text[Operator], ...]
    """The registered root operators, sorted."""
    custom_classes: tuple[str, ...]
    """Names of custom classes, `namespace.Class`, sorted."""
    bytecode_versions: BytecodeVersions
    """The bytecode versions that it can load."""
    models: tuple[ModelOrigin, ...]
    """The models that the operators were taken from."""
    source_version: str
    """The version of PyTorch."""
    source_digest: str
    """Digest of the pins and patches of PyTorch's source tree."""
    features: tuple[str, ...]
    """Features whose optional sources are in the runtime, sorted."""
    accelerators: tuple[str, ...] = ()
    """Apple's accelerators that the runtime can use in addition to the CPU, sorted."""
    plan_key: str
    """The key of the plan that it was built from."""
    static_dispatch: tuple[str, ...]
    """The backends that static dispatch chooses from."""
    toolchain: tuple[str, ...]
    """The tools that built it, from `Toolchain.fingerprint`."""
    dtypes: Text[DtypeSet]
    """The scalar types that it has kernels for."""
    core: Core = Core.UPSTREAM
    """What loads and interprets models."""
    files: Files
    links: Mapping[InnerPath, InnerPath] = field(default_factory=dict)
    """Symbolic links -> the file in the same folder that they lead to."""
    schema: Schema = SCHEMA

    def __post_init__(self) -> None:
        for model in self.models:
            # `ModelOrigin` does not check its digest, which builder computes itself. In a manifest,
            # it is somebody else's text.
            if not _SHA256.fullmatch(model.sha256):
                raise ValueError(f"not a SHA-256: {model.sha256!r:.80}")

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest as JSON, without times and absolute paths, so it is reproducible."""
        return {
            "abi": self.abi,
            # Without accelerators there is no such key, so that manifests are as they were before
            # there were any.
            **({"accelerators": list(self.accelerators)} if self.accelerators else {}),
            "bytecode_versions": to_json(self.bytecode_versions),
            # Nor is there one for PyTorch's core, which all runtimes had before there was another.
            **({"core": str(self.core)} if self.core is not Core.UPSTREAM else {}),
            "custom_classes": sorted(self.custom_classes),
            "dtypes": self.dtypes.to_json(),
            "features": list(self.features),
            "files": to_json(self.files),
            **({"links": dict(self.links)} if self.links else {}),
            "models": [
                {
                    "bytecode_version": model.bytecode_version,
                    "name": model.name,
                    "sha256": model.sha256,
                }
                for model in self.models
            ],
            "operators": [str(operator) for operator in sorted(self.operators)],
            "plan_key": self.plan_key,
            "schema": self.schema,
            "source_digest": self.source_digest,
            "source_version": self.source_version,
            "static_dispatch": list(self.static_dispatch),
            "toolchain": list(self.toolchain),
        }

    def to_text(self) -> str:
        """Returns the text of `manifest.json`, with sorted keys and a final newline."""
        return render_json(self.to_json())


def parse_manifest(text: str) -> Manifest:
    """Returns the manifest in `text`; unknown keys are ignored.

    Raises:
        ValueError: the text is not a JSON object, a key is missing or has another type, the schema
            is newer than `SCHEMA`, or a path leads out of the folder.
    """
    return parse_json(text, Manifest, "manifest", newest=SCHEMA)


def render_json(value: Mapping[str, Any]) -> str:
    """Returns JSON text; equal values give equal text, with sorted keys and a final newline."""
    # Non-ASCII names of models stay readable.
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
