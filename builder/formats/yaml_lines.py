"""Finds the lines of the keys of a YAML text, so that errors can name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.formats.plain_yaml import MAX_DEPTH, describe_yaml_error

Place = tuple[str | int, ...]
"""Keys, and numbers of items from 0, that lead to a value."""


def find_lines(text: str) -> Mapping[Place, int]:
    """Returns the line, from 1, of each key and of each item of a list in the first document.

    Raises:
        ValueError: the text is not YAML, or a key stands twice in one mapping.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _collect(yaml, yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        raise describe_yaml_error(error, text) from None


def _collect(yaml: Any, events: Any) -> dict[Place, int]:  # noqa: ANN401 - PyYAML has no types
    lines: dict[Place, int] = {}
    # Each collection that is open: its place, and whether the next scalar in a mapping is a key.
    places: list[Place] = []
    counts: list[int | None] = []
    key: Place | None = None
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            places.pop()
            counts.pop()
            continue
        if isinstance(event, yaml.DocumentEndEvent):
            break
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = event.start_mark.line + 1
        is_collection = isinstance(event, yaml.CollectionStartEvent)
        if places and counts[-1] is None and key is None and not is_collection:
            key = (*places[-1], str(getattr(event, "value", "")))
            if key in lines:
                raise ValueError(f"line {line}: the key {key[-1]!r} stands there twice")
            lines[key] = line
            continue
        if places and (number := counts[-1]) is not None:
            place: Place = (*places[-1], number)
            counts[-1] = number + 1
            lines[place] = line
        else:
            place, key = key or (), None
        if is_collection:
            # Places grow with the depth, and a text of brackets only is as deep as it is long.
            if len(places) >= MAX_DEPTH:
                raise ValueError(f"line {line}: it is nested too deeply")
            places.append(place)
            counts.append(None if isinstance(event, yaml.MappingStartEvent) else 0)
    return lines
