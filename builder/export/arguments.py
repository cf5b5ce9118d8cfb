"""`--arg name=value` as Python values."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from builder.errors import ConfigurationError


def parse_arguments(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns values by name: Python literals where the text is one, the text where it is not.

    Nothing is evaluated.

    Raises:
        ConfigurationError: a name that is none, or stands twice.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if not name.isidentifier():
            raise ConfigurationError(
                f"not the name of an argument: {name!r}", hint="write --arg name=value"
            )
        if name in values:
            raise ConfigurationError(f"--arg {name} is given twice")
        values[name] = _parse(text)
    return values


def _parse(text: str) -> Any:  # noqa: ANN401 - any Python literal
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
