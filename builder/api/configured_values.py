"""Turns one value of `builder.yaml` into the type of its setting."""

from __future__ import annotations

import math
import re
from enum import EnumType
from typing import Any

from builder.core.backends import Backend
from builder.core.dtypes import DtypeSet
from builder.core.nesting import InputSpec, parse_input
from builder.core.release import Release
from builder.core.typed import suggest
from builder.sources.releases import list_optional_backends, load_release

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def convert_value(kind: Any, value: object) -> object:  # noqa: ANN401
    """Returns `value`, as plain YAML has it, as a `kind`.

    Raises:
        ValueError, BuilderError: it is none; the message does not name the key.
    """
    return _CONVERSIONS.get(kind, _convert_other)(kind, value)


def show_value(value: object) -> str:
    """Returns a value for an error as YAML has it, or its type and length if it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if len(repr(value)) < 60 else f"{type(value).__name__} of {len(str(value))}"


def _take_bool(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {show_value(value)}")  # noqa: TRY004
    return value


def _take_int(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, not {show_value(value)}")  # noqa: TRY004
    return value


def _take_float(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    # Plain YAML has whole numbers only; others are texts, of which Python's float reads too many.
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_number = is_whole or (isinstance(value, str) and _NUMBER.fullmatch(value))
    number = float(str(value)) if is_number else math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number, not {show_value(value)}")
    return number


def _take_text(kind: Any, value: object) -> str:  # noqa: ANN401, ARG001
    # A version such as 7 looks like a number.
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"expected text, not {show_value(value)}")
    return str(value)


def _take_backend(kind: Any, value: object) -> Backend:  # noqa: ANN401
    known = {one.name: one for one in list_optional_backends()}
    name = _take_text(kind, value)
    if name not in known:
        raise ValueError(f"{name!r} is not a backend; {suggest(name, known)}")
    return known[name]


def _take_dtypes(kind: Any, value: object) -> DtypeSet:  # noqa: ANN401
    if isinstance(value, list):
        return DtypeSet.of(_take_text(kind, one) for one in value)
    return DtypeSet.parse(_take_text(kind, value))


def _convert_other(kind: Any, value: object) -> object:  # noqa: ANN401
    text = _take_text(kind, value)
    if isinstance(kind, EnumType):
        known = [str(one) for one in list[Any](kind)]
        if text not in known:
            raise ValueError(f"{text!r} is not a value of it; {suggest(text, known)}")
        return kind(text)
    return kind.parse(text) if hasattr(kind, "parse") else kind(text)


_CONVERSIONS: dict[object, Any] = {
    bool: _take_bool,
    int: _take_int,
    float: _take_float,
    Backend: _take_backend,
    DtypeSet: _take_dtypes,
    InputSpec: lambda kind, value: parse_input(_take_text(kind, value)),
    Release: lambda kind, value: load_release(_take_text(kind, value)),
}
"""Types that a value is read as in another way than text with `parse`."""
