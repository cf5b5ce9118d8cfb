"""Sizes as people write them, and limits that a runtime must keep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) *(?P<unit>[A-Za-z]*)")
_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit for one ABI, or for all that have none of their own."""

    abi: str | None
    limit: int
    """Bytes."""
    text: str
    """As it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What a runtime may weigh."""

    file: tuple[Budget, ...] = ()
    """Of the stripped library (`--max-size`)."""
    compressed: tuple[Budget, ...] = ()
    """Of the library as a download (`--max-compressed`)."""


def parse_size(text: str) -> int:
    """Returns the bytes of `2.5MB`, `900 KiB` or `123456`, rounded down.

    KB, MB and GB count in thousands, KiB, MiB and GiB in 1024; ValueError for anything else, for
    less than a byte, and for a fraction without a unit.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match["unit"].lower() not in _UNITS:
        raise ValueError(f"{text!r} is no size; write 2.5MB, 900KiB or 123456")
    size = Fraction(match["number"]) * _UNITS[match["unit"].lower()]
    if 0 < size < 1 or ("." in match["number"] and match["unit"].lower() in {"", "b"}):
        raise ValueError(f"{text!r} is no whole number of bytes; write 2.5MB, 900KiB or 123456")
    return int(size)


def parse_budget(text: str) -> Budget:
    """Returns the budget of `2.5MB` or `linux-x86_64=2.5MB`; ValueError otherwise."""
    abi, equals, size = text.rpartition("=")
    if equals and not abi.strip():
        raise ValueError(f"{text!r} names no ABI before the '='")
    return Budget(abi=abi.strip() or None, limit=parse_size(size), text=text)


def find_budget(budgets: Iterable[Budget], abi: str) -> Budget | None:
    """Returns the strictest budget for `abi`; those that name it come before those for all."""
    listed = tuple(budgets)
    own = [b for b in listed if b.abi == abi] or [b for b in listed if b.abi is None]
    return min(own, key=lambda budget: budget.limit, default=None)


def list_idle(budgets: Budgets, abis: Sequence[str]) -> list[tuple[str, Budget]]:
    """Returns option and budget of those that are for an ABI which is not among `abis`."""
    listed = (("--max-size", budgets.file), ("--max-compressed", budgets.compressed))
    return [
        (option, budget)
        for option, given in listed
        for budget in given
        if budget.abi is not None and budget.abi not in abis
    ]
