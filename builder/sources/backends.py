"""Reads the backends of a release: a folder with one TOML file for each.

`Backend` in core/backends.py says what each key means.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from builder.core.backends import ANY_DISPATCH, Backend, Chosen
from builder.core.plan import DispatchBackend
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError

_SUFFIX = ".toml"


def read_backends(folder: Path) -> Mapping[str, Backend]:
    """Returns the backends in `folder`, by name, sorted.

    Raises:
        ConfigurationError: `parse_backend` refuses a file; the message names it and the key.
    """
    backends = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            backends[path.stem] = parse_backend(path.stem, path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigurationError(f"{folder}: {error}") from error
    return MappingProxyType(backends)


def parse_backend(name: str, text: str) -> Backend:
    """Returns the backend that the TOML `text` describes.

    Raises:
        ValueError: a key is unknown or missing, a value has another type, or two keys do not go
            together; the message names the file and the key.
    """
    file = f"{name}{_SUFFIX}"
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
