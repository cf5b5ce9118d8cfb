"""Reads the folder of a release into one value."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from builder.core.release import Release, ReleaseFacts
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError
from builder.sources.backends import read_backends
from builder.sources.facts import FACTS_NAME, locate_release
from builder.sources.lockfile import LOCK_NAME, read_lock

_INDEX = "symbols"


def load_release(version: str | None = None, *, root: Path | None = None) -> Release:
    """Returns a release of PyTorch, with its pins, patches, facts and backends.

    Args:
        version: e.g. `2.6.0`; the newest release when None.
        root: the folder with the folders of the releases; builder's own `third_party` when None.

    Raises:
        ConfigurationError: there is no such release, or one of its files is malformed.
    """
    return read_release(locate_release(version, root=root))


def read_release(folder: Path) -> Release:
    """Reads the folder of one release, whose name is the version.

    Raises:
        ConfigurationError: one of its files is missing or malformed, or its lock file is of
            another version.
    """
    lock, index = read_lock(folder), folder / f"{_INDEX}.txt"
    if lock.version != folder.name:
        raise ConfigurationError(
            f"{folder / LOCK_NAME} is for PyTorch {lock.version}, and its folder is {folder.name}",
            hint="a release's folder has the name of the version in its lock file",
        )
    own = {path.stem.removeprefix(f"{_INDEX}-"): path for path in folder.glob(f"{_INDEX}-*.txt")}
    return Release(
        version=lock.version,
        folder=folder,
        lock=lock,
        facts=read_facts(folder),
        backends=read_backends(folder / "backends"),
        indexes=MappingProxyType({"": index, **dict(sorted(own.items()))}),
    )


def read_facts(folder: Path) -> ReleaseFacts:
    """Reads `facts.toml` in the folder of a release.

    Raises:
        ConfigurationError: it cannot be read, or a key is missing, unknown or of another type.
    """
    path = folder / FACTS_NAME
    try:
        return parse_toml(path.read_text(encoding="utf-8"), ReleaseFacts, FACTS_NAME)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
