"""Reads the files of this folder into typed values."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from builder.core.backends import ANY_DISPATCH, Backend, Chosen
from builder.core.plan import DispatchBackend

_SUFFIX = ".toml"
_KINDS: Mapping[type, str] = {dict: "table", list: "list", str: "string"}
"""TOML's words for the types of its values."""
_T = TypeVar("_T")


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
    backend = _read_table(Backend, tomllib.loads(text), file, name=name)
    assert isinstance(backend, Backend)
    _refuse_contradictions(backend, file)
    return backend


def _read_table(kind: type[Any], value: object, where: str, **given: str) -> object:
    """Returns a dataclass whose fields are the keys of the table `value`, and those of `given`."""
    table = _expect(dict, value, where)
    fields = [one for one in dataclasses.fields(kind) if one.name not in given]
    if unknown := sorted(set(table) - {one.name for one in fields}):
        known = ", ".join(sorted(one.name for one in fields))
        raise ValueError(f"{where}: unknown keys: {', '.join(unknown)}; known keys are {known}")
    if missing := sorted({one.name for one in fields if _is_required(one)} - set(table)):
        raise ValueError(f"{where}: missing keys: {', '.join(missing)}")
    hints = get_type_hints(kind)
    values = {key: _read(hints[key], one, f"{where}: {key}") for key, one in table.items()}
    return kind(**given, **values)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 (type hints have no type)
    """Returns `value` as the type `hint`: of strings, of collections of them, or a dataclass."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:  # of a type and None; TOML leaves the key out
        return _read(arguments[0], value, where)
    if origin is tuple:
        return tuple(_read(arguments[0], one, where) for one in _expect(list, value, where))
    if origin is Mapping:
        items = _expect(dict, value, where).items()
        return MappingProxyType(
            {key: _read(arguments[1], one, f"{where}.{key}") for key, one in items}
        )
    if hasattr(hint, "__dataclass_fields__"):
        return _read_table(hint, value, where)
    text = _expect(str, value, where)
    try:
        return hint(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _expect(kind: type[_T], value: object, where: str) -> _T:
    if isinstance(value, kind):
        return value
    raise ValueError(f"{where}: expected is a {_KINDS[kind]}, not {value!r}")


def _refuse_contradictions(backend: Backend, file: str) -> None:
    is_option = backend.chosen is Chosen.OPTION
    if is_option != bool(backend.help):
        raise ValueError(f"{file}: help is the text of an option, which chosen = 'option' makes")
    if backend.cmake_options and backend.chosen is not Chosen.ALWAYS:
        raise ValueError(f"{file}: cmake_options are for every build, so chosen must be 'always'")
    dispatched = {*backend.units, backend.static_dispatch} - {ANY_DISPATCH, ""}
    if unknown := sorted(dispatched - set(DispatchBackend)):
        raise ValueError(f"{file}: unknown backends of static dispatch: {', '.join(unknown)}")
