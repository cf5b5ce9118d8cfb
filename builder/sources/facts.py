"""Finds the folders of the releases, and reads what listing the operators of a model needs of one.

`builder ops` is quick, so this module imports nothing that is slow to load.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from builder.core.model import BytecodeVersions
from builder.errors import ConfigurationError
from builder.system.folders import data_folder

FACTS_NAME = "facts.toml"
_VERSION = re.compile(r"(?P<numbers>\d+(?:\.\d+)+)(?P<local>(?:\+[A-Za-z0-9.]+)?)")


def list_releases(root: Path | None = None) -> tuple[str, ...]:
    """Returns the versions of PyTorch that builder can build, oldest first.

    Each is the name of a folder: `2.6.0`, or `2.6.0+name` for a variant of a release.

    Args:
        root: the folder with the folders of the releases; builder's own `third_party` when None.
    """
    root = root or data_folder("third_party")
    names = (path.parent.name for path in root.glob(f"*/{FACTS_NAME}"))
    return tuple(sorted((name for name in names if _VERSION.fullmatch(name)), key=_order))


def locate_release(version: str | None = None, *, root: Path | None = None) -> Path:
    """Returns the folder of a release.

    Args:
        version: e.g. `2.6.0`; the newest release when None.
        root: as for `list_releases`.

    Raises:
        ConfigurationError: there is no such release; the message lists the releases that exist.
    """
    root = root or data_folder("third_party")
    releases = list_releases(root)
    if not releases:
        raise ConfigurationError(
            f"{root} has no folder with a release of PyTorch", hint="reinstall builder"
        )
    version = version or releases[-1]
    if version not in releases:
        raise ConfigurationError(
            f"builder cannot build PyTorch {version}; it can build {', '.join(releases)}",
            hint=f"choose one of these, e.g. --pytorch {releases[-1]}",
        )
    return root / version


def load_bytecode_versions(version: str | None = None) -> BytecodeVersions:
    """Returns the bytecode versions that runtimes of a release can load, from its facts alone.

    Args:
        version: e.g. `2.6.0`; the newest release when None.

    Raises:
        ConfigurationError: there is no such release, or its facts cannot be read.
    """
    path = locate_release(version) / FACTS_NAME
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))["bytecode"]
        return BytecodeVersions(**table)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _order(version: str) -> tuple[tuple[int, ...], str]:
    match = _VERSION.fullmatch(version)
    assert match is not None
    return tuple(map(int, match["numbers"].split("."))), match["local"]
