"""What a set of root operators asks of the build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from builder.core.operators import Operator

if TYPE_CHECKING:
    from builder.core.model import OperatorList


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedOperators:
    """The operators of a runtime, and what is built for them."""

    operators: OperatorList
    selection: Selection
    skipped: frozenset[Operator]
    """Operators that were asked for and are left out."""

    def without(self, operators: Collection[Operator]) -> ServedOperators:
        """Returns the same with `operators` left out too."""
        return replace(
            self,
            operators=self.operators.without(operators),
            skipped=self.skipped.union(operators),
        )
