"""Numbers of things in sentences."""

from __future__ import annotations


def number_of(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun: `no rules`, `1 rule`, `12,345 rules`.

    Args:
        number: how many there are, 0 or more.
        noun: the noun for one.
        plural: the noun for any other number; `noun` with an s when empty.
    """
    shown = f"{number:,}" if number else "no"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"
