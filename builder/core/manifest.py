"""What a built runtime says of itself: the contents of its `manifest.json`."""

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
"""Version of the manifest's layout; a reader refuses newer ones."""

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One file of the runtime."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one runtime can run, and what it was made from."""

    abi: str
    operators: tuple[Operator, ...]
    """Registered root operators, sorted."""
    custom_classes: tuple[str, ...]
    """`namespace.Class`, sorted."""
    bytecode_min: int
    bytecode_max: int
    models: tuple[ModelOrigin, ...]
    """The models that the operators were taken from."""
    source_version: str
    source_digest: str
    features: tuple[str, ...] = ()
    """Features whose optional sources are in it, sorted."""
    accelerators: tuple[str, ...] = ()
    """What of Apple's devices it can use beside the processor, sorted."""
    plan_key: str
    static_dispatch: tuple[str, ...]
    toolchain: tuple[str, ...]
    """`Toolchain.fingerprint`."""
    dtypes: DtypeSet = EVERYTHING
    """What it has kernels for."""
    files: Mapping[str, ManifestFile]
    """Path relative to the manifest's folder, POSIX -> size and digest."""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest as `parse_manifest` reads it; no times, no absolute paths."""
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
        """Returns the text of `manifest.json`: sorted keys, final newline."""
        return render_json(self.to_json())


def parse_manifest(text: str) -> Manifest:
    """Returns the manifest written as `text`; keys that it does not know are ignored.

    Raises:
        ValueError: no JSON object, a key is missing or has another type, a schema newer than
            `SCHEMA`, or a path that leaves the folder.
    """
    return read_manifest(parse_json(text))


def read_manifest(value: object) -> Manifest:
    """Returns the manifest in a value of JSON; ValueError as `parse_manifest` has it."""
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
"""Characters of JSON; its values take 25 times as many bytes at worst."""


def parse_json(text: str, *, most: int = MAX_JSON) -> object:
    """Returns the value of JSON; ValueError when it is none, nested without end, or too long."""
    if len(text) > most:
        raise ValueError(f"it has {len(text):,} characters, more than {most:,}")
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def render_json(value: Mapping[str, Any]) -> str:
    """Returns JSON that is the same each time: sorted keys, final newline."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def files_json(files: Mapping[str, ManifestFile]) -> dict[str, Any]:
    """Returns what `parse_files` reads."""
    return {
        path: {"sha256": file.sha256, "size": file.size} for path, file in sorted(files.items())
    }


class Fields:
    """A JSON object whose fields are checked as they are read."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no JSON object")  # noqa: TRY004 - one type for bad text
        self._value: dict[str, object] = value
        self._where = where

    def get(self, key: str) -> object:
        """Returns any value."""
        if key not in self._value:
            raise ValueError(f"{self._where} has no {key!r}")
        return self._value[key]

    def text(self, key: str) -> str:
        """Returns a text."""
        value = self.get(key)
        if not isinstance(value, str):
            raise ValueError(f"{key!r} of {self._where} is no text: {value!r:.60}")  # noqa: TRY004
        return value

    def digest(self, key: str) -> str:
        """Returns a SHA-256."""
        value = self.text(key)
        if not _SHA256.match(value):
            raise ValueError(f"{key!r} of {self._where} is no SHA-256: {value!r:.80}")
        return value

    def integer(self, key: str) -> int:
        """Returns a whole number that is not negative."""
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{key!r} of {self._where} is no whole number: {value!r:.60}")
        return value

    def schema(self, newest: int) -> int:
        """Returns the version of the layout, which is not newer than `newest`."""
        schema = self.integer("schema")
        if schema > newest:
            raise ValueError(f"schema {schema} is newer than {newest}, the newest known here")
        return schema

    def mapping(self, key: str) -> dict[str, object]:
        """Returns an object."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise ValueError(f"{key!r} of {self._where} is no JSON object")  # noqa: TRY004
        return value

    def named_texts(self, key: str) -> dict[str, str]:
        """Returns an object whose values are texts."""
        fields = Fields(self.get(key), key)
        return {name: fields.text(name) for name in self.mapping(key)}

    def items(self, key: str) -> list[object]:
        """Returns a list."""
        value = self.get(key)
        if not isinstance(value, list):
            raise ValueError(f"{key!r} of {self._where} is no list: {value!r:.60}")  # noqa: TRY004
        return value

    def texts(self, key: str, *, absent: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Returns a list of texts; `absent`, where given, for a key that older files lack."""
        if absent is not None and key not in self._value:
            return absent
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{key!r} of {self._where} holds more than texts")
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
    """Returns path -> file; ValueError for a path that leaves the folder of the manifest."""
    if not isinstance(value, dict):
        raise ValueError("'files' is no JSON object")  # noqa: TRY004 - one type for bad text
    files = {}
    for path, entry in value.items():
        if path.startswith("/") or not path or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError(f"'files' names a path outside of the runtime: {path!r:.80}")
        fields = Fields(entry, f"file {path!r}")
        files[path] = ManifestFile(size=fields.integer("size"), sha256=fields.digest("sha256"))
    return files
