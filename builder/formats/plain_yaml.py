"""Reads foreign YAML as plain values, in time and memory that grow with the length of the text.

PyYAML's loaders understand numbers to base 60, dates and tags, and aliases can repeat a value many
times. No file that builder reads needs any of that. So this module reads the events of the parser
below the loaders, which is libyaml where PyYAML was built with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 100
"""Lists and mappings that may stand inside one another."""
MAX_EVENTS = 400_000
"""Scalars, and beginnings and ends of lists, mappings and documents, in one text. A list
of 30,000 operators has fewer."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""A surrogate, which stands for a byte that is not UTF-8 in a file name; libyaml refuses it."""
_SLOW = 1 << 18
"""Characters that PyYAML's own parser may read; it is ten times slower than libyaml."""
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
"""A decimal number that fits into 64 bits; leading zeros would mean octal in YAML 1.1."""
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
"""Words without quotes -> their values in YAML 1.1."""


def parse_documents(text: str, *, only_strings: bool = False) -> Iterator[object]:
    """Yields each document, made of None, bool, int, str, list and dict.

    Integers of at most 18 digits are numbers; everything else that looks like a number, and dates,
    are strings. Keys are strings whatever they look like, as they stand in the text.

    Args:
        text: one or more documents.
        only_strings: whether all scalars are strings, whatever they look like.

    Raises:
        ValueError: the text is not YAML, or has aliases, tags, keys that are not scalars, the same
            key twice, or too many values. The message begins with the line, where it is known.
    """
    import yaml

    # PyYAML may be built without libyaml.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if _SURROGATE.search(text):
        # libyaml refuses surrogates, and the other parser is too slow for long texts.
        if len(text) > _SLOW:
            raise ValueError(
                f"it has file names that are not UTF-8, and more than {_SLOW:,} characters"
            )
        loader = yaml.BaseLoader
    try:
        yield from _Composer(yaml, only_strings).compose(yaml.parse(text, Loader=loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise describe_yaml_error(error, text) from error


def describe_yaml_error(error: Exception, text: str) -> ValueError:
    """Returns the error for a text that PyYAML refuses; the line comes first, where it is known."""
    # PyYAML's readers of characters count them differently, and say no line.
    character = getattr(error, "character", None)
    if isinstance(character, int):
        line = text[: max(text.find(chr(character)), 0)].count("\n") + 1
        return ValueError(f"line {line}: the character U+{character:04X} is not allowed in it")
    mark = getattr(error, "problem_mark", None)
    where = f"{_line_of(mark)}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    return ValueError(f"{where}it is not YAML: {' '.join(str(problem).split())[:300]}")


class _Composer:
    """Builds values from events, without recursion, so deep nesting cannot exhaust the stack."""

    def __init__(self, yaml: Any, only_strings: bool) -> None:  # noqa: ANN401 - a module
        self._yaml, self._only_strings = yaml, only_strings
        self._open: list[list[object]] = []
        """Items of each collection that is still open; keys and values in turn for a mapping."""
        self._keys: list[set[str] | None] = []
        """The keys so far of each of these; None for what is no mapping."""

    def compose(self, events: Iterator[Any]) -> Iterator[object]:
        events_of = self._yaml.events
        for number, event in enumerate(events):
            if number >= MAX_EVENTS:
                raise _refuse("it has too many values", event)
            # Aliases of aliases grow exponentially: ten lines can stand for a billion items.
            if isinstance(event, events_of.AliasEvent):
                raise _refuse("aliases are not allowed in it", event)
            if isinstance(event, events_of.DocumentStartEvent):
                self._push(None)
            elif isinstance(event, events_of.DocumentEndEvent):
                yield from self._pop()
            elif isinstance(event, events_of.CollectionStartEvent):
                self._start(event)
            elif isinstance(event, events_of.CollectionEndEvent):
                is_mapping = isinstance(event, events_of.MappingEndEvent)
                items = self._pop()
                self._open[-1].append(_to_dict(items) if is_mapping else items)
            elif isinstance(event, events_of.ScalarEvent):
                self._open[-1].append(self._to_scalar(event))

    def _push(self, keys: set[str] | None) -> None:
        self._open.append([])
        self._keys.append(keys)

    def _pop(self) -> list[object]:
        self._keys.pop()
        return self._open.pop()

    def _is_key_next(self) -> bool:
        return self._keys[-1] is not None and len(self._open[-1]) % 2 == 0

    def _start(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no types
        if event.tag not in {None, "!"}:
            raise _refuse("tags are not allowed in it", event)
        # Whoever reads the value may use recursion.
        if len(self._open) > MAX_DEPTH:
            raise _refuse("it is nested too deeply", event)
        if self._is_key_next():
            raise _refuse("a key is not a scalar", event)
        self._push(set() if isinstance(event, self._yaml.events.MappingStartEvent) else None)

    def _to_scalar(self, event: Any) -> object:  # noqa: ANN401 - PyYAML's events have no types
        if event.tag not in {None, "!"}:
            raise _refuse("tags are not allowed in it", event)
        text = str(event.value)
        if self._is_key_next():
            return self._take_key(text, event)
        # A scalar in quotes, or one with the tag "!", is a string whatever it looks like.
        if event.style or event.tag == "!" or self._only_strings:
            return text
        if text in _WORDS:
            return _WORDS[text]
        return int(text) if _NUMBER.fullmatch(text) else text

    def _take_key(self, text: str, event: Any) -> str:  # noqa: ANN401 - PyYAML's events have no types
        # As values, `no` and `off` would be one key, and a product could not have such a name.
        known = self._keys[-1]
        assert known is not None
        if text in known:
            raise _refuse(f"the key {text[:60]!r} stands there twice", event)
        known.add(text)
        return text


def _to_dict(items: list[object]) -> dict[object, object]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _refuse(what: str, event: Any) -> ValueError:  # noqa: ANN401 - PyYAML's events have no types
    return ValueError(f"{_line_of(event.start_mark)}: {what}")


def _line_of(mark: Any) -> str:  # noqa: ANN401 - PyYAML's marks have no types
    return f"line {mark.line + 1}"
