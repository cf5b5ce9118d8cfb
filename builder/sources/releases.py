"""Reads the folder of a release into one value."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from builder.core.backends import Backend, Chosen
from builder.core.release import INDEX, Release, ReleaseFacts
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError
from builder.sources.lockfile import LOCK_NAME, read_lock, read_patches
from builder.sources.read_backends import read_backends, read_sound_backends
from builder.sources.release_facts import (
    FACTS_NAME,
    list_releases,
    locate_release,
    read_default,
    read_own,
)
from builder.system.folders import data_folder

_BACKENDS = "backends"
_SHADER_PATCHES = "shader_patches"


def load_release(version: str | None = None, *, root: Path | None = None) -> Release:
    """Returns a release of PyTorch, with its pins, patches, facts and backends.

    Args:
        version: e.g. `2.6.0`; the default release when None.
        root: the folder with the folders of the releases; builder's own `third_party` when None.

    Raises:
        ConfigurationError: there is no such release, or one of its files is malformed.
    """
    return read_release(locate_release(version, root=root))


def list_optional_backends(root: Path | None = None) -> tuple[Backend, ...]:
    """Returns the backends that an option of the command line asks for, sorted by name.

    They are those of all releases, since options exist before a release is chosen. Where several
    releases have a backend, the default release's counts, and then the newest one's. What is
    malformed is left out here, because it concerns only a command that takes that release.

    Args:
        root: the folder with the folders of the releases; builder's own `third_party` when None.
    """
    root = root or data_folder("third_party")
    versions = list(list_releases(root))
    with suppress(ConfigurationError):
        default = read_default(root)
        versions = [*(version for version in versions if version != default), default]
    found: dict[str, Backend] = {}
    # Later ones replace earlier ones, so the one that counts comes last.
    for version in versions:
        found |= read_sound_backends(root / version / _BACKENDS)
    optional = (one for one in found.values() if one.chosen is Chosen.OPTION)
    return tuple(sorted(optional, key=lambda one: one.name))


def read_release(folder: Path) -> Release:
    """Reads the folder of one release, whose name is the version.

    Raises:
        ConfigurationError: one of its files is missing or malformed, or its lock file is of
            another version.
    """
    lock = read_lock(folder)
    if lock.version != folder.name:
        raise ConfigurationError(
            f"{folder / LOCK_NAME} is for PyTorch {lock.version}, and its folder is {folder.name}",
            hint="a release's folder has the name of the version in its lock file",
        )
    # Which ones are missing is told where a target wants them.
    indexes = {path.stem.removeprefix(INDEX)[1:]: path for path in folder.glob(f"{INDEX}*.txt")}
    return Release(
        version=lock.version,
        folder=folder,
        lock=lock,
        facts=read_facts(folder),
        backends=read_backends(folder / _BACKENDS),
        indexes=MappingProxyType(dict(sorted(indexes.items()))),
        shader_patches=read_patches(folder / _SHADER_PATCHES),
    )


def read_facts(folder: Path) -> ReleaseFacts:
    """Reads `facts.toml` in the folder of a release.

    Raises:
        ConfigurationError: it cannot be read, or a key is missing, unknown or of another type.
    """
    path = folder / FACTS_NAME
    try:
        return parse_toml(read_own(path), ReleaseFacts, str(path))
    except ValueError as error:
        raise ConfigurationError(
            str(error),
            hint='CONTRIBUTING.md, under "Add a release of PyTorch", says what the file has',
        ) from error
