"""Reads YAML of foreign files as plain values, in time and memory in proportion to its length.

PyYAML's loaders resolve numbers to base 60, dates and tags, and let aliases refer to values again
and again; no file that builder reads needs any of that. The parser underneath (libyaml, where
PyYAML was built with it) is taken event by event instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 100
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half a character, as bytes of file names that are no UTF-8 are written; libyaml refuses it."""
_SLOW = 1 << 18
"""Characters for PyYAML's own parser, which is ten times as slow."""
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
"""What YAML 1.1 means by plain words."""


def parse_documents(text: str, *, only_strings: bool = False) -> Iterator[object]:
    """Yields each document, made of None, bool, int, str, list and dict; ValueError when damaged.

    A number is an int of at most 18 digits; what else looks like one is a string, as dates are.
    Aliases, tags, keys that are no scalars, and keys that occur twice are refused.

    Args:
        text: of one or more documents.
        only_strings: whether all scalars are strings, whatever they look like.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if _SURROGATE.search(text):
        if len(text) > _SLOW:
            raise ValueError(f"it names files by undecodable bytes and has more than {_SLOW:,}")
        loader = yaml.BaseLoader
    try:
        yield from _Composer(yaml, only_strings).compose(yaml.parse(text, Loader=loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())[:300]}") from error


class _Composer:
    """Makes values of events; without recursion."""

    def __init__(self, yaml: Any, only_strings: bool) -> None:  # noqa: ANN401 - a module
        self._yaml, self._only_strings = yaml, only_strings
        self._open: list[list[object]] = []
        """The items of each collection that is not closed yet; of a mapping, keys and values."""

    def compose(self, events: Iterator[Any]) -> Iterator[object]:
        events_of = self._yaml.events
        for event in events:
            if isinstance(event, events_of.AliasEvent):
                raise _refuse("aliases have", event)
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
            raise _refuse("tags have", event)
        if len(self._open) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        self._open.append([])

    def _to_scalar(self, event: Any) -> object:  # noqa: ANN401 - PyYAML's events have no types
        if event.tag not in {None, "!"}:
            raise _refuse("tags have", event)
        text = str(event.value)
        if event.style or event.tag == "!" or self._only_strings:
            return text
        if text in _WORDS:
            return _WORDS[text]
        return int(text) if _NUMBER.fullmatch(text) else text


def _to_dict(items: list[object]) -> dict[object, object]:
    keys, values = items[::2], items[1::2]
    if any(isinstance(key, list | dict) for key in keys):
        raise ValueError("a key is no scalar")
    found = dict(zip(keys, values, strict=True))
    if len(found) != len(keys):
        raise ValueError("a key occurs twice")
    return found


def _refuse(what: str, event: Any) -> ValueError:  # noqa: ANN401 - PyYAML's events have no types
    return ValueError(f"{what} no place in it (line {event.start_mark.line + 1})")
