"""Parses sizes as people write them, and limits for the size of a runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from builder.core.setting_fields import Setting, Text

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) *(?P<unit>[A-Za-z]*)", re.ASCII)
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


class ByteSize(int):
    """A number of bytes, at least one; people write it as `500MB` or `8GiB`."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Returns the size that `text` has; ValueError when it is not one, or is 0."""
        size = cls(parse_size(text))
        if size < 1:
            raise ValueError("the limit must be at least one byte")
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A size limit for one ABI, or for all ABIs without a limit of their own."""

    abi: str | None
    """None for all ABIs without a limit of their own."""
    limit: int
    """Largest number of bytes that is allowed."""
    text: str
    """The limit as the user wrote it."""

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Returns the budget for `2.5MB` or `linux-x86_64=2.5MB`; ValueError for other text."""
        abi, equals, size = text.rpartition("=")
        if equals and not abi.strip():
            raise ValueError(f"{text!r} names no ABI before the '='")
        return cls(abi=abi.strip() or None, limit=parse_size(size), text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much larger something may be than it was."""

    share: Fraction | None
    """A part of the earlier size, e.g. 1/50 for `2%`; None for a number of bytes."""
    size: int
    """Bytes; 0 where a share is given."""
    text: str
    """The limit as the user wrote it."""

    @classmethod
    def parse(cls, text: str) -> Growth:
        """Returns the growth for `2%`, `0.5%` or `20KB`; ValueError for other text."""
        number, percent, rest = text.strip().partition("%")
        if not percent:
            return cls(share=None, size=parse_size(text), text=text)
        if rest or not re.fullmatch(r"\d+(\.\d+)?", number.strip(), re.ASCII):
            raise ValueError(f"{text!r} is not a growth; write 2%, 0.5% or 20KB")
        return cls(share=Fraction(number.strip()) / 100, size=0, text=text)

    def find_excess(self, now: int, before: int) -> int:
        """Returns the bytes that are more than allowed; 0 for a size within the limit."""
        allowed = self.size if self.share is None else int(before * self.share)
        return max(0, now - before - allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The size limits of a build."""

    max_size: Annotated[tuple[Text[Budget], ...], Setting(placeholder="[ABI=]SIZE")] = ()
    """Exit with code 8 if the stripped library is larger, e.g. 2.5MB or 900KiB, or arm64-v8a=2MB
    for one ABI."""
    max_compressed: Annotated[tuple[Text[Budget], ...], Setting(placeholder="[ABI=]SIZE")] = ()
    """Exit with code 8 if the compressed library, as in a download, is larger."""


def parse_size(text: str) -> int:
    """Returns the number of bytes in `2.5MB`, `900 KiB` or `123456`, rounded down.

    KB, MB and GB are powers of 1000; KiB, MiB and GiB are powers of 1024.

    Raises:
        ValueError: the text is not a size, is less than a byte, or has a fraction without a unit.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match["unit"].lower() not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write 2.5MB, 900KiB or 123456")
    # A fraction of exact decimals: 2.3MB as a float would be a byte too small.
    size = Fraction(match["number"]) * _UNITS[match["unit"].lower()]
    if 0 < size < 1 or ("." in match["number"] and match["unit"].lower() in {"", "b"}):
        raise ValueError(f"{text!r} is not a whole number of bytes; write 2.5MB, 900KiB or 123456")
    return int(size)


def find_budget(budgets: Iterable[Budget], abi: str) -> Budget | None:
    """Returns the strictest budget for `abi`; one for all ABIs only without such a one."""
    listed = tuple(budgets)
    # A limit for the ABI itself replaces the general one, also where it is looser.
    matching = [b for b in listed if b.abi == abi] or [b for b in listed if b.abi is None]
    return min(matching, key=lambda budget: budget.limit, default=None)


def list_idle(budgets: Budgets, abis: Sequence[str]) -> list[tuple[str, Budget]]:
    """Returns field and budget of each budget for an ABI that is not in `abis`."""
    listed = (("max_size", budgets.max_size), ("max_compressed", budgets.max_compressed))
    return [
        (name, budget)
        for name, given in listed
        for budget in given
        if budget.abi is not None and budget.abi not in abis
    ]
