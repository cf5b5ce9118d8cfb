"""What a set of root operators asks of the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Registrations to generate, units to start from, and what each unit may register."""

    registrations: str
    """C++ source that registers torchgen's operators and names all selected ones."""
    roots: frozenset[str]
    """Units to compile whatever else is reached."""
    limits: Mapping[str, str]
    """Unit id -> text of the header that limits it, whether it is reached or not: what it registers
    of the operators it has by hand, or what it can leave out."""
