"""What a pass did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PassResult:
    """How many places a pass changed, and why it left others as they were."""

    changed: int
    left: tuple[str, ...] = ()
    """One sentence for each reason, for the user."""


def merge(results: Iterable[PassResult]) -> PassResult:
    """Returns the sum of `results`, with each reason once."""
    results = tuple(results)
    reasons = dict.fromkeys(reason for result in results for reason in result.left)
    return PassResult(sum(result.changed for result in results), tuple(reasons))


def describe(reasons: Counter[str]) -> tuple[str, ...]:
    """Returns a line for each reason in `reasons`, with how often it was the reason."""
    return tuple(
        reason if times == 1 else f"{reason} ({times} times)" for reason, times in reasons.items()
    )
