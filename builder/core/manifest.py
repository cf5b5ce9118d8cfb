"""The manifest of a built runtime: the contents of its `manifest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.model import ModelOrigin
from builder.core.operators import Operator

SCHEMA = 1
"""Version of the layout of the manifest; readers refuse a newer version."""

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """Size and digest of one file of the runtime."""

    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The facts of one runtime: what it can run, and what it was built from."""

    abi: str
    operators: tuple[Operator, ...]
    """The registered root operators, sorted."""
    custom_classes: tuple[str, ...]
    """Names of custom classes, `namespace.Class`, sorted."""
    bytecode_min: int
    bytecode_max: int
    models: tuple[ModelOrigin, ...]
    """The models that the operators were taken from."""
    source_version: str
    source_digest: str
    features: tuple[str, ...] = ()
    """Features whose optional sources are in the runtime, sorted."""
    accelerators: tuple[str, ...] = ()
    """Apple's accelerators that the runtime can use in addition to the CPU, sorted."""
    plan_key: str
    static_dispatch: tuple[str, ...]
    toolchain: tuple[str, ...]
    """The tools that built it, from `Toolchain.fingerprint`."""
    dtypes: DtypeSet = EVERYTHING
    """The scalar types that it has kernels for."""
    files: Mapping[str, ManifestFile]
    """POSIX path relative to the folder of the manifest -> size and digest."""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest as JSON, without times and absolute paths, so it is reproducible."""
        return {
            "abi": self.abi,
            **({"accelerators": list(self.accelerators)} if self.accelerators else {}),
            "bytecode_versions": {"max": self.bytecode_max, "min": self.bytecode_min},
            "custom_classes": sorted(self.custom_classes),
            "dtypes": self.dtypes.to_json(),
            "features": list(self.features),
            "files": files_json(self.files),
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
    return read_manifest(parse_json(text))


def read_manifest(value: object) -> Manifest:
    """Returns the manifest in a JSON value; raises ValueError as `parse_manifest` does."""
    fields = Fields(value, "manifest")
    schema = fields.schema(SCHEMA)
    versions = Fields(fields.get("bytecode_versions"), "bytecode_versions")
    return Manifest(
        schema=schema,
        abi=fields.text("abi"),
        operators=tuple(Operator.parse(text) for text in fields.texts("operators")),
        custom_classes=fields.texts("custom_classes"),
        bytecode_min=versions.integer("min"),
        bytecode_max=versions.integer("max"),
        models=tuple(_parse_model(item) for item in fields.items("models")),
        source_version=fields.text("source_version"),
        source_digest=fields.text("source_digest"),
        features=fields.texts("features"),
        accelerators=fields.texts("accelerators", absent=()),
        plan_key=fields.text("plan_key"),
        static_dispatch=fields.texts("static_dispatch"),
        toolchain=fields.texts("toolchain"),
        dtypes=DtypeSet.of(fields.texts("dtypes")),
        files=parse_files(fields.get("files")),
    )


MAX_JSON = 4 << 20
"""Characters of JSON that are accepted; parsed values can take 25 times as many bytes."""


def parse_json(text: str, *, most: int = MAX_JSON) -> object:
    """Returns the value of JSON text; ValueError when it is not JSON, too deep or too long."""
    if len(text) > most:
        raise ValueError(f"it has {len(text):,} characters, more than {most:,}")
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def render_json(value: Mapping[str, Any]) -> str:
    """Returns JSON text; equal values give equal text, with sorted keys and a final newline."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def files_json(files: Mapping[str, ManifestFile]) -> dict[str, Any]:
    """Returns the JSON value that `parse_files` reads."""
    return {
        path: {"sha256": file.sha256, "size": file.size} for path, file in sorted(files.items())
    }


class Fields:
    """A JSON object whose fields are checked when they are read; each method raises ValueError."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is not a JSON object")  # noqa: TRY004 - one type for bad text
        self._value: dict[str, object] = value
        self._where = where

    def get(self, key: str) -> object:
        """Returns the value of `key`, of any type."""
        if key not in self._value:
            raise ValueError(f"{self._where} has no {key!r}")
        return self._value[key]

    def text(self, key: str) -> str:
        """Returns the value of `key`, which must be a string."""
        value = self.get(key)
        if not isinstance(value, str):
            raise ValueError(f"{key!r} of {self._where} is not a string: {value!r:.60}")  # noqa: TRY004
        return value

    def digest(self, key: str) -> str:
        """Returns the value of `key`, which must be a SHA-256 in lower-case hexadecimal."""
        value = self.text(key)
        if not _SHA256.match(value):
            raise ValueError(f"{key!r} of {self._where} is not a SHA-256: {value!r:.80}")
        return value

    def integer(self, key: str) -> int:
        """Returns the value of `key`, which must be a whole number that is not negative."""
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:  # bool is an int
            raise ValueError(f"{key!r} of {self._where} is not a whole number: {value!r:.60}")
        return value

    def schema(self, newest: int) -> int:
        """Returns the version of the layout; a version above `newest` is an error."""
        schema = self.integer("schema")
        if schema > newest:
            raise ValueError(
                f"schema {schema} is newer than {newest}, the newest that this builder knows"
            )
        return schema

    def mapping(self, key: str) -> dict[str, object]:
        """Returns the value of `key`, which must be a JSON object."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise ValueError(f"{key!r} of {self._where} is not a JSON object")  # noqa: TRY004
        return value

    def named_texts(self, key: str) -> dict[str, str]:
        """Returns the value of `key`, which must be a JSON object whose values are strings."""
        fields = Fields(self.get(key), key)
        return {name: fields.text(name) for name in self.mapping(key)}

    def items(self, key: str) -> list[object]:
        """Returns the value of `key`, which must be a list."""
        value = self.get(key)
        if not isinstance(value, list):
            raise ValueError(f"{key!r} of {self._where} is not a list: {value!r:.60}")  # noqa: TRY004
        return value

    def texts(self, key: str, *, absent: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Returns the value of `key`, a list of strings; `absent` if the key is missing."""
        if absent is not None and key not in self._value:
            return absent
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{key!r} of {self._where} is not a list of strings")
        return tuple(str(value) for value in values)


def _parse_model(value: object) -> ModelOrigin:
    fields = Fields(value, "an entry of models")
    version = fields.get("bytecode_version")
    return ModelOrigin(
        fields.text("name"),
        fields.digest("sha256"),
        None if version is None else fields.integer("bytecode_version"),
    )


def parse_files(value: object) -> dict[str, ManifestFile]:
    """Returns path -> file; ValueError for a path that leads out of the folder of the manifest."""
    if not isinstance(value, dict):
        raise ValueError("'files' is not a JSON object")  # noqa: TRY004 - one type for bad text
    files = {}
    for path, entry in value.items():
        if path.startswith("/") or not path or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError(f"'files' has a path outside of the runtime: {path!r:.80}")
        fields = Fields(entry, f"file {path!r}")
        files[path] = ManifestFile(size=fields.integer("size"), sha256=fields.digest("sha256"))
    return files
