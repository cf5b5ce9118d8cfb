"""Turns `--arg name=value` into Python values."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from builder.errors import ConfigurationError


def parse_arguments(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns the values by name: a Python literal is parsed, any other text stays a string.

    No code in the text is evaluated.

    Raises:
        ConfigurationError: a name is not a valid Python name, or is given twice.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if not name.isidentifier():
            raise ConfigurationError(
                f"{name!r} is not a valid name of an argument", hint="write --arg name=value"
            )
        if name in values:
            raise ConfigurationError(f"--arg {name} is given twice")
        values[name] = _parse(text)
    return values


def _parse(text: str) -> Any:  # noqa: ANN401 - any Python literal
    try:
        return ast.literal_eval(text)
    # All that ast.literal_eval may raise, says its documentation.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
