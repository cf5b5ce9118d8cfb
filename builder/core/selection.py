"""What a set of root operators asks of the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.core.operators import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Registrations to generate, units to start from, and what each unit may register."""

    registrations: str
    """C++ source that registers torchgen's operators and names all selected ones."""
    always: frozenset[str] = frozenset()
    """Units to compile whatever operators are selected."""
    by_hand: Mapping[Operator, frozenset[str]] = field(default_factory=dict)
    """Operator that sources register by hand -> units to compile for it."""
    at_run_time: frozenset[str] = frozenset()
    """Structs of `at::_ops` whose callers ask the tensor's device first, since kernels for another
    device than the processor are registered."""
    limits: Mapping[str, str]
    """Unit id -> text of the header that limits it, whether it is reached or not: what it registers
    of the operators it has by hand, or what it can leave out."""

    @property
    def roots(self) -> frozenset[str]:
        """Units to compile whatever else is reached."""
        return self.always.union(*self.by_hand.values())
