"""Limits for the size of a runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from builder.core.byte_sizes import parse_size
from builder.core.setting_fields import Setting, Text


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
        if rest or not re.fullmatch(r"\d{1,18}(\.\d{1,18})?", number.strip(), re.ASCII):
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

    def list_idle(self, abis: Sequence[str]) -> list[tuple[str, Budget]]:
        """Returns field and budget of each budget for an ABI that is not in `abis`."""
        listed = (("max_size", self.max_size), ("max_compressed", self.max_compressed))
        return [
            (name, budget)
            for name, given in listed
            for budget in given
            if budget.abi is not None and budget.abi not in abis
        ]


def find_budget(budgets: Iterable[Budget], abi: str) -> Budget | None:
    """Returns the strictest budget for `abi`; one for all ABIs only without such a one."""
    listed = tuple(budgets)
    # A limit for the ABI itself replaces the general one, also where it is looser.
    matching = [b for b in listed if b.abi == abi] or [b for b in listed if b.abi is None]
    return min(matching, key=lambda budget: budget.limit, default=None)
