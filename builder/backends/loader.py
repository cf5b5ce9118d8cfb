"""Reads the files of this folder into typed values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from builder.core.backends import ANY_DISPATCH, Backend, Chosen
from builder.core.plan import DispatchBackend
from builder.core.typed import parse_toml

_SUFFIX = ".toml"


@cache
def load_backends() -> Mapping[str, Backend]:
    """Returns every backend that ships with builder, by name, sorted."""
    backends = (
        parse_backend(path.name.removesuffix(_SUFFIX), path.read_text(encoding="utf-8"))
        for path in resources.files("builder.backends").iterdir()
        if path.name.endswith(_SUFFIX)
    )
    return MappingProxyType({one.name: one for one in sorted(backends, key=lambda b: b.name)})


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
        raise ValueError(f"{file}: help is the text of an option, which chosen = 'option' makes")
    if backend.cmake_options and backend.chosen is not Chosen.ALWAYS:
        raise ValueError(f"{file}: cmake_options are for every build, so chosen must be 'always'")
    dispatched = {*backend.units, backend.static_dispatch} - {ANY_DISPATCH, ""}
    if unknown := sorted(dispatched - set(DispatchBackend)):
        raise ValueError(f"{file}: unknown backends of static dispatch: {', '.join(unknown)}")
