"""Hints as JSON: how they come from a child process to the command line, which shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from builder.errors import Hint, Run, Use


def describe_hint(hint: str) -> list[Any]:
    """Returns a hint as values for JSON: strings, and objects for settings and commands."""
    return [_describe(part) for part in _flatten(hint)]


def parse_hint(value: object, clean: Callable[[str], str]) -> Hint:
    """Returns the hint that `describe_hint` described.

    What describes a hint may run the code of a model, so nothing about the value is certain.

    Args:
        value: what JSON has.
        clean: makes each string safe to print.

    Raises:
        ValueError: `describe_hint` returns no such value.
    """
    match value:
        case list():
            return Hint(*(_parse(part, clean) for part in value))
        case _:
            raise ValueError("a hint is not a list")


def _flatten(hint: str) -> Iterator[str | Use | Run]:
    # A hint may have hints as parts.
    if not isinstance(hint, Hint):
        yield str(hint)
        return
    for part in hint.parts:
        yield from _flatten(part) if isinstance(part, str) else (part,)


def _describe(part: str | Use | Run) -> Any:  # noqa: ANN401 - as JSON has it
    match part:
        case Use():
            # Whether a setting is switched off shows in its value, so that one stays a bool.
            value = part.value if isinstance(part.value, bool) else str(part.value)
            return {"setting": part.key, "value": value}
        case Run():
            return {"command": part.command, "parts": [_describe(one) for one in part.parts]}
        case _:
            return part


def _parse(value: object, clean: Callable[[str], str]) -> str | Use | Run:
    match value:
        case {"command": str(command), "parts": list(parts)}:
            return Run(clean(command), tuple(_parse_word(part, clean) for part in parts))
        case _:
            return _parse_word(value, clean)


def _parse_word(value: object, clean: Callable[[str], str]) -> str | Use:
    match value:
        case str():
            return clean(value)
        case {"setting": str(key), "value": bool(chosen)}:
            return Use(clean(key), chosen)
        case {"setting": str(key), "value": str(chosen)}:
            return Use(clean(key), clean(chosen))
        case _:
            raise ValueError("a part of a hint is not a text, a setting or a command")
