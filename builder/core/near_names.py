"""Finds operators whose names are similar to one that is not known, for hints."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from builder.core.operators import LONGEST_NAME

_MOST_COMPARED = 10_000
"""Names that similar ones are searched in."""


def near_names(name: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Returns at most `limit` names in `known` that are similar to `name`, best first.

    Other overloads of the same operator come before names with a similar spelling.
    """
    known = (other for other in set(known) - {name} if len(other) <= LONGEST_NAME)
    # Sorted before the cut, so that the same names are compared in every run.
    candidates = sorted(known)[:_MOST_COMPARED]
    base = name.partition(".")[0]
    family = [other for other in candidates if other.partition(".")[0] == base]
    # With cutoff 0, every overload of the same operator counts as similar.
    close = difflib.get_close_matches(name, family, n=limit, cutoff=0.0)
    close += difflib.get_close_matches(name, candidates, n=limit, cutoff=0.75)
    return tuple(dict.fromkeys(close))[:limit]
