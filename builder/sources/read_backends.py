"""Reads the backends of a release: a folder with one TOML file for each.

`Backend` in core/backends.py says what each key means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from builder.core.backends import ANY_DISPATCH, Backend, Chosen
from builder.core.plan import DispatchBackend
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError
from builder.sources.release_facts import read_own

_SUFFIX = ".toml"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""The name becomes an option of the command line."""


def read_backends(folder: Path) -> Mapping[str, Backend]:
    """Returns the backends in `folder`, by name, sorted.

    Raises:
        ConfigurationError: there is no such folder, a file cannot be read, or `parse_backend`
            refuses it; the message names the file and the key.
    """
    # Without its backends a release would build, and lack most of its kernels.
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder")
    return MappingProxyType({path.stem: _read(path) for path in _list_files(folder)})


def read_sound_backends(folder: Path) -> Mapping[str, Backend]:
    """Returns those backends in `folder` whose files can be read, by name, sorted."""
    backends = {}
    for path in _list_files(folder):
        with suppress(ConfigurationError):
            backends[path.stem] = _read(path)
    return MappingProxyType(backends)


def _list_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _read(path: Path) -> Backend:
    try:
        return parse_backend(path.stem, read_own(path))
    except ValueError as error:
        raise ConfigurationError(f"{path.parent}: {error}") from error


def parse_backend(name: str, text: str) -> Backend:
    """Returns the backend that the TOML `text` describes.

    Raises:
        ValueError: a key is unknown or missing, a value has another type, or two keys do not go
            together; the message names the file and the key.
    """
    file = f"{name}{_SUFFIX}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{file}: the name of a backend has only the characters a-z, 0-9 and _")
    backend = parse_toml(text, Backend, file, given={"name": name})
    _refuse_contradictions(backend, file)
    return backend


def _refuse_contradictions(backend: Backend, file: str) -> None:
    is_option = backend.chosen is Chosen.OPTION
    if is_option != bool(backend.help):
        raise ValueError(f"{file}: only a backend with chosen = 'option' has a help text")
    if backend.cmake_options and backend.chosen is not Chosen.ALWAYS:
        raise ValueError(f"{file}: cmake_options are for every build, so chosen must be 'always'")
    dispatched = {*backend.units, backend.static_dispatch} - {ANY_DISPATCH, ""}
    if unknown := sorted(dispatched - set(DispatchBackend)):
        raise ValueError(f"{file}: unknown backends of static dispatch: {', '.join(unknown)}")
