"""Finds the folders of the releases, and reads what listing the operators of a model needs of one.

`builder ops` is quick, so this module imports nothing that is slow to load.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from builder.core.model_facts import BytecodeVersions
from builder.errors import ConfigurationError, Hint, Use
from builder.system.folders import data_folder

FACTS_NAME = "facts.toml"
DEFAULT_NAME = "releases.toml"
"""The file beside the folders of the releases that declares which of them is the default."""
_VERSION = re.compile(r"(?P<numbers>[0-9]+(?:\.[0-9]+)+)(?P<local>(?:\+[A-Za-z0-9.]+)?)")


def list_releases(root: Path | None = None) -> tuple[str, ...]:
    """Returns the versions of PyTorch that builder has a folder for, oldest first.

    Each is the name of a folder, or of a link to one: `2.6.0`, or `2.6.0+name` for a variant of a
    release. Files and folders with other names are no releases. What is in a folder is not read:
    `load_release` says what is wrong with it.

    Args:
        root: the folder with the folders of the releases; builder's own `third_party` when None.
    """
    root = root or data_folder("third_party")
    names = (path.name for path in root.iterdir() if path.is_dir())
    return tuple(sorted((name for name in names if _VERSION.fullmatch(name)), key=_order))


def locate_release(version: str | None = None, *, root: Path | None = None) -> Path:
    """Returns the folder of a release.

    Args:
        version: e.g. `2.6.0`; the default release when None.
        root: as for `list_releases`.

    Raises:
        ConfigurationError: there is no such release, and the message lists the releases that exist;
            or no default is declared.
    """
    root = root or data_folder("third_party")
    if version is None:
        return root / read_default(root)
    releases = list_releases(root)
    if version not in releases:
        # A file, or a link that leads nowhere, has the right name and still is no release.
        found = _VERSION.fullmatch(version) and os.path.lexists(root / version)
        why = f": {root / version} is not a folder" if found else ""
        raise ConfigurationError(
            f"builder cannot build PyTorch {version or repr(version)}{why}; "
            f"it can build {', '.join(releases)}",
            hint=Hint("choose one of these with ", Use("pytorch"), ", or leave out the setting"),
        )
    return root / version


def read_default(root: Path) -> str:
    """Returns the version of the release that commands take when none is named.

    It is declared, because a folder that somebody adds must not change what others build.

    Args:
        root: the folder with the folders of the releases.

    Raises:
        ConfigurationError: the declaration is missing or malformed, or names no release.
    """
    path = root / DEFAULT_NAME
    try:
        table = tomllib.loads(read_own(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}", hint="reinstall builder") from error
    default = table.get("default")
    if set(table) != {"default"} or default not in list_releases(root):
        raise ConfigurationError(
            f"{path} must have the key `default`, with the name of a release's folder, "
            "and nothing else",
            hint="reinstall builder",
        )
    return str(default)


def load_bytecode_versions(version: str | None = None) -> BytecodeVersions:
    """Returns the bytecode versions that runtimes of a release can load, from its facts alone.

    Args:
        version: e.g. `2.6.0`; the default release when None.

    Raises:
        ConfigurationError: there is no such release, or its facts cannot be read.
    """
    path = locate_release(version) / FACTS_NAME
    try:
        # The rest of the file is not checked here, which would load the reader of typed files.
        table = tomllib.loads(read_own(path))["bytecode"]
        return BytecodeVersions(**table)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def read_own(path: Path) -> str:
    """Returns the text of a file of a release.

    Raises:
        ConfigurationError: it cannot be read, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _order(version: str) -> tuple[tuple[int, ...], str]:
    match = _VERSION.fullmatch(version)
    assert match is not None
    # As numbers, since 2.10 comes after 2.9.
    return tuple(map(int, match["numbers"].split("."))), match["local"]
