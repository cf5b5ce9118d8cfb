"""Mutates values of JSON and property lists: other types, names, numbers, depths and lengths."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.fuzz.mutators import raw

NUMBERS = (0, -1, 1.5, -0.0, 1e308, 2**31, 2**53, 2**63, 2**64, 10**40, 10**400, True)


def mutate_value(value: Any, rng: random.Random) -> Any:
    """Returns `value`, which may be changed, with one to three of its parts changed."""
    holder = [value]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(walk(holder))
        container, key = rng.choice(places)
        _change(container, key, places, rng)
    return holder[0] if holder else None


def walk(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields container and key of all parts, of shared ones once; of long lists, some."""
    waiting = [value]
    seen = set()
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(min(len(container), 200))
        for key in keys:
            yield container, key
            part = container[key]
            if isinstance(part, dict | list) and id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)


def _change(container: Any, key: Any, places: list[tuple[Any, Any]], rng: random.Random) -> None:
    old = container[key]
    match rng.randrange(8):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[raw.pick_text(rng, str(key))] = container.pop(key)
        case 2:
            other, place = rng.choice(places)
            if place in other if isinstance(other, dict) else place < len(other):
                container[key] = json.loads(json.dumps(other[place], default=str))
        case 3:
            container[key] = _nest(old, rng)
        case 4 if isinstance(container, list):
            # Groups of groups of groups would be more than memory holds.
            most = 3 if isinstance(old, dict | list) else 1000
            container[key : key + 1] = [old] * rng.choice((2, 3, most))
        case _:
            container[key] = _replace(old, rng)


def _replace(old: Any, rng: random.Random) -> Any:
    if rng.random() < 0.3:
        return rng.choice((None, [], {}, "", True, 0, [None], {"": None}, *NUMBERS))
    match old:
        case bool() | None:
            return rng.choice((True, False, None, 0, "true"))
        case int():
            return raw.pick_number(rng, old)
        case float():
            return rng.choice((float("nan"), float("inf"), -old, 1e308, 5))
        case str():
            return raw.pick_text(rng, old)
    return rng.choice(NUMBERS)


def _nest(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((1, 2, 50))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def mutate_json(text: bytes, rng: random.Random) -> bytes:
    """Returns JSON that was changed by meaning mostly, otherwise as text."""
    if rng.random() < 0.2:
        return _mutate_text(text, rng)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return raw.mutate(text, rng)
    return json.dumps(mutate_value(value, rng)).encode()


def _mutate_text(text: bytes, rng: random.Random) -> bytes:
    match rng.randrange(5):
        case 0:
            return b"[" * rng.choice((100, 5000, 200_000)) + text
        case 1:
            return text.replace(b'"', b"", rng.randrange(1, 5))
        case 2:
            at = rng.randrange(len(text) + 1)
            piece = rng.choice((b"NaN", b"1e999", b"-Infinity", b"9" * 5000, b'"\\ud800"', b"\xff"))
            return text[:at] + piece + text[at:]
        case 3:
            return rng.choice(
                (b"", b"null", b"[]", b"{}", b"0", b'""', b"\xef\xbb\xbf{}", b"\0\0{}")
            )
        case _:
            return raw.mutate(text, rng)
