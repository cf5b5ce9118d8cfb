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
    are strings.

    Args:
        text: one or more documents.
        only_strings: whether all scalars are strings, whatever they look like.

    Raises:
        ValueError: the text is not YAML, or has aliases, tags, keys that are not scalars, or the
            same key twice.
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
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())[:300]}") from error


class _Composer:
    """Builds values from events, without recursion, so deep nesting cannot exhaust the stack."""

    def __init__(self, yaml: Any, only_strings: bool) -> None:  # noqa: ANN401 - a module
        self._yaml, self._only_strings = yaml, only_strings
        self._open: list[list[object]] = []
        """Items of each collection that is still open; keys and values in turn for a mapping."""

    def compose(self, events: Iterator[Any]) -> Iterator[object]:
        events_of = self._yaml.events
        for event in events:
            # Aliases of aliases grow exponentially: ten lines can stand for a billion items.
            if isinstance(event, events_of.AliasEvent):
                raise _refuse("aliases", event)
            if isinstance(event, events_of.DocumentStartEvent):
                self._open.append([])
            elif isinstance(event, events_of.DocumentEndEvent):
                yield from self._open.pop()
            elif isinstance(event, events_of.CollectionStartEvent):
                self._start(event)
            elif isinstance(event, events_of.CollectionEndEvent):
                is_mapping = isinstance(event, events_of.MappingEndEvent)
                items = self._open.pop()
                self._open[-1].append(_to_dict(items) if is_mapping else items)
            elif isinstance(event, events_of.ScalarEvent):
                self._open[-1].append(self._to_scalar(event))

    def _start(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no types
        if event.tag not in {None, "!"}:
            raise _refuse("tags", event)
        # Whoever reads the value may use recursion.
        if len(self._open) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        self._open.append([])

    def _to_scalar(self, event: Any) -> object:  # noqa: ANN401 - PyYAML's events have no types
        if event.tag not in {None, "!"}:
            raise _refuse("tags", event)
        text = str(event.value)
        # A scalar in quotes, or one with the tag "!", is a string whatever it looks like.
        if event.style or event.tag == "!" or self._only_strings:
            return text
        if text in _WORDS:
            return _WORDS[text]
        return int(text) if _NUMBER.fullmatch(text) else text


def _to_dict(items: list[object]) -> dict[object, object]:
    keys, values = items[::2], items[1::2]
    if any(isinstance(key, list | dict) for key in keys):
        raise ValueError("a key is not a scalar")
    mapping = dict(zip(keys, values, strict=True))
    if len(mapping) != len(keys):
        raise ValueError("a key occurs twice")
    return mapping


def _refuse(what: str, event: Any) -> ValueError:  # noqa: ANN401 - PyYAML's events have no types
    return ValueError(f"{what} are not allowed in it (line {event.start_mark.line + 1})")
