"""Reads `sources.lock.toml` and the patches beside it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.core.sources import BundledSource, SourceLock, SourcePatch, SourcePin
from builder.errors import ConfigurationError
from builder.sources.release_facts import read_own
from builder.system.patches import parse_patch

LOCK_NAME = "sources.lock.toml"


def read_lock(folder: Path) -> SourceLock:
    """Reads the lock file and `patches/*.patch` in builder's `third_party` folder.

    Raises:
        ConfigurationError: a field is missing, unknown or malformed, or a patch is malformed.
    """
    path = folder / LOCK_NAME
    text = read_own(path)
    return parse_lock(text, name=str(path), patches=read_patches(folder / "patches"))


def read_patches(folder: Path) -> tuple[SourcePatch, ...]:
    """Reads the patches in a folder, which need not exist, in the order of their names.

    Raises:
        ConfigurationError: one cannot be read or is malformed.
    """
    return tuple(read_patch(file) for file in sorted(folder.glob("*.patch")))


def read_patch(path: Path) -> SourcePatch:
    """Reads one patch: a header with the reason for it, and then a unified diff."""
    text = read_own(path)
    header = text[: text.find("\n--- ") + 1]
    reason = " ".join(header.split())
    if not reason:
        raise ConfigurationError(
            f"{path} does not start with a reason",
            hint="write one sentence above the diff that says why the patch is needed",
        )
    # A malformed patch is found when the lock is read, not in the middle of a fetch.
    parse_patch(path.stem, text)
    return SourcePatch(name=path.stem, text=text, reason=reason)


def parse_lock(text: str, *, name: str, patches: tuple[SourcePatch, ...] = ()) -> SourceLock:
    """Parses the text of a lock file; `name` stands for it in error messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: {error}") from error
    version, tables = document.get("version"), document.get("source")
    snapshots = document.get("snapshots", [])
    if set(document) - {"snapshots"} != {"version", "source"} or not isinstance(version, str):
        raise ConfigurationError(
            f"{name}: it must have a `version` and `[[source]]` tables, may have `snapshots`, and "
            "has nothing else"
        )
    if not isinstance(snapshots, list) or not all(map(_is_time, snapshots)):
        raise ConfigurationError(f"{name}: `snapshots` are not times such as 20260101T000000Z")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{name}: `source` is not a list of tables")
    pins = tuple(_parse_pin(table, f"{name}: source {i + 1}") for i, table in enumerate(tables))
    # Two pins with one path would overwrite each other's files.
    for what in ("name", "path", "file"):
        values = [getattr(pin, what) for pin in pins]
        if len(set(values)) != len(values):
            raise ConfigurationError(f"{name}: two sources have the same {what}")
    return SourceLock(version=version, pins=pins, patches=patches, snapshots=tuple(snapshots))


def _is_time(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{8}T\d{6}Z", value, re.ASCII))


def _parse_pin(table: dict[str, Any], where: str) -> SourcePin:
    tables = table.get("bundled", [])
    if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
        raise ConfigurationError(f"{where}: `bundled` is not a list of tables")
    bundled = [_parse_bundled(item, f"{where}: bundled {i + 1}") for i, item in enumerate(tables)]
    plain = {key: value for key, value in table.items() if key != "bundled"}
    fields = _check_fields(plain, where, _STRINGS | _NUMBERS | _LISTS, optional=_OPTIONAL)
    return SourcePin(**fields, bundled=tuple(bundled))


def _parse_bundled(table: dict[str, Any], where: str) -> BundledSource:
    known = {name: _STRINGS[name] for name in ("name", "path", "version", "url", "licence")}
    return BundledSource(**_check_fields(table, where, known, optional=frozenset({"version"})))


def _check_fields(
    table: dict[str, Any],
    where: str,
    fields: dict[str, Callable[[Any], bool]],
    *,
    optional: frozenset[str],
) -> dict[str, Any]:
    """Returns the values of a table, with lists as tuples; ConfigurationError for wrong values."""
    unknown, missing = set(table) - set(fields), set(fields) - optional - set(table)
    if unknown or missing:
        raise ConfigurationError(
            f"{where}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}"
        )
    for field, value in table.items():
        values = value if field in _LISTS and isinstance(value, list) else [value]
        if field in _LISTS and not isinstance(value, list):
            raise ConfigurationError(f"{where}: `{field}` is not a list")
        if not all(fields[field](item) for item in values):
            raise ConfigurationError(f"{where}: `{field}` cannot be {value!r}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_path(value: object) -> bool:
    """Returns whether `value` is a relative POSIX path that stays inside of its root."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.+@-]+(/[\w.+@-]+)*", value):
        return False
    return ".." not in value.split("/") and (value == "." or "." not in value.split("/"))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_STRINGS: dict[str, Callable[[Any], bool]] = {
    "name": _matches(r"[a-z0-9-]+"),
    "path": _is_path,
    "version": _matches(r"\S+"),
    "url": _matches(r"https://[^\s@]+"),  # without a user name
    "commit": _matches(r"[0-9a-f]{40}"),
    "package": _matches(r"[a-z0-9][a-z0-9+.-]+"),
    "file": _matches(r"[A-Za-z0-9_.+~-]+(?:\.tar\.(?:gz|bz2|xz)|\.whl)"),
    "sha256": _matches(r"[0-9a-f]{64}"),
    "licence": _matches(r"[A-Za-z0-9.+() -]+"),
    "feature": _matches(r"[a-z0-9-]+"),
    "inside": _is_path,
}
_NUMBERS: dict[str, Callable[[Any], bool]] = {
    "strip": _is_count,
    "size": _is_count,
    "unpacked": _is_count,
}
_LISTS: dict[str, Callable[[Any], bool]] = {"excluded": _is_path, "kept": _is_path}
_OPTIONAL = frozenset({"excluded", "feature", "inside", "kept"})
