"""Turns the text of JSON and TOML files into dataclasses; every file format is read through here.

A format is a dataclass whose fields are the keys of the file, with their types. msgspec checks
types, bounds and missing keys; this module adds what it lacks: names of unknown keys, values that
are written as text, and one type of error that names the file.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

MAX_JSON = 4 << 20
"""Characters of JSON that are accepted; parsed values can take 25 times as many bytes."""
_LONGEST_MESSAGE = 300
"""Characters of an error that are shown, since msgspec repeats values of the file in full."""

Size = Annotated[int, msgspec.Meta(ge=0, lt=1 << 50)]
"""A number of bytes, or another count; no file has more."""
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""A digest in lower-case hexadecimal."""
InnerPath = Annotated[
    str, msgspec.Meta(pattern=r"\A(?!\.{0,2}(?:/|\Z))[^/]+(?:/(?!\.{0,2}(?:/|\Z))[^/]+)*\Z")
]
"""A POSIX path that stays below its folder: relative, and without empty, `.` and `..` parts."""

_T = TypeVar("_T")


def parse_json(
    text: str | bytes,
    kind: type[_T],
    where: str,
    *,
    newest: int | None = None,
    most: int = MAX_JSON,
) -> _T:
    """Returns the `kind` that JSON text holds; keys that `kind` does not have are ignored.

    A byte-order mark before the text, which editors of Windows write, is ignored (RFC 8259,
    section 8.1).

    Args:
        text: the JSON.
        kind: a dataclass, or another type that msgspec knows; `object` for any value.
        where: what the text is, for errors, e.g. `manifest`.
        newest: the newest version in the key `schema` that is known; None if there is no such key.
        most: largest number of characters, or of bytes.

    Raises:
        ValueError: the text is too long, not JSON, nested too deeply, or not a `kind`.
    """
    # Before parsing, which takes many times the memory of the text.
    if len(text) > most:
        raise ValueError(f"{where}: it has {len(text):,} characters, more than {most:,}")
    mark = "\ufeff"
    text = text.removeprefix(mark) if isinstance(text, str) else text.removeprefix(mark.encode())
    if newest is not None:
        # First the version alone: a newer layout would fail with a message about some key.
        version = _decode(text, _Versioned, where).schema
        if version > newest:
            raise ValueError(
                f"{where}: schema {version} is newer than {newest}, the newest that this builder "
                "knows"
            )
    return _decode(text, kind, where)


def parse_toml(text: str, kind: type[_T], where: str, given: Mapping[str, object] = {}) -> _T:
    """Returns the dataclass `kind` that TOML text describes; it must have no other keys.

    Args:
        text: the TOML.
        kind: the dataclass.
        where: the name of the file, for errors.
        given: fields of `kind` that are not in the file.

    Raises:
        ValueError: the text is not TOML, a key is unknown or missing, or a value has another type;
            the message names the file and the key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: {error}") from None
    # Our own files are strict: a misspelt key would be a setting without effect.
    _refuse_unknown(table, kind, where, without=given.keys())
    return _explain(where, lambda: msgspec.convert({**table, **given}, kind, dec_hook=_read_text))


def to_json(value: object) -> Any:  # noqa: ANN401 - as json.dumps wants it
    """Returns what `parse_json` reads, as values for `json.dumps`; no bytes and no cycles."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {one.name: to_json(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, Path):
        return str(value)
    return [to_json(inner) for inner in value] if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True, slots=True)
class _Versioned:
    schema: Size


def _decode(text: str | bytes, kind: type[_T], where: str) -> _T:
    return _explain(where, lambda: msgspec.json.decode(text, type=kind, dec_hook=_read_text))


def _explain(where: str, read: Callable[[], _T]) -> _T:
    """Returns what `read` returns; every error of msgspec becomes a ValueError with the place."""
    try:
        return read()
    except RecursionError:
        raise ValueError(f"{where}: it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        # msgspec appends the place to its message, as a path such as `$.files[...]`.
        message, at, path = str(error).rpartition(" - at ")
        place = path.replace("`", "").replace("$.", "").replace("$", "") if at else ""
        # Without a place, rpartition leaves the whole message in its last part.
        shown = (message if at else path)[:_LONGEST_MESSAGE]
        raise ValueError(": ".join(filter(None, (where, place, shown)))) from None


def _read_text(kind: Any, value: object) -> object:  # noqa: ANN401 - what `Text` made, or Path
    """Returns the value that text stands for; msgspec asks this for types it does not know."""
    if kind is object:
        return value
    # msgspec reads no paths, which JSON and TOML have as text.
    if kind is Path and isinstance(value, str):
        return Path(value)
    kind = getattr(kind, "kind", kind)
    if isinstance(value, str):
        return kind.parse(value)
    if isinstance(value, list) and hasattr(kind, "of") and all(isinstance(v, str) for v in value):
        return kind.of(value)
    raise ValueError(f"expected text, not {value!r:.60}")


def _refuse_unknown(value: object, hint: Any, where: str, without: Any = ()) -> None:  # noqa: ANN401
    """Raises ValueError for a key that is not a field of its dataclass, in any depth."""
    if get_origin(hint) is UnionType:  # of `X | None`, X counts
        hint = get_args(hint)[0]
    if isinstance(value, dict) and dataclasses.is_dataclass(hint):
        hints = {name: of for name, of in get_type_hints(hint).items() if name not in without}
        for key, inner in value.items():
            if key not in hints:
                raise ValueError(f"{where}: unknown key {key!r}; {suggest(key, hints)}")
            _refuse_unknown(inner, hints[key], f"{where}: {key}")
    elif isinstance(value, dict) and get_args(hint):
        for key, inner in value.items():
            _refuse_unknown(inner, get_args(hint)[-1], f"{where}.{key}")
    elif isinstance(value, list) and get_args(hint):
        for inner in value:
            _refuse_unknown(inner, get_args(hint)[0], where)


def suggest(key: str, known: Collection[str]) -> str:
    """Returns `did you mean 'x'?` where a known word is near, and otherwise lists all."""
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
