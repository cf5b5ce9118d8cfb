"""The work of a build that follows from a set of root operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from builder.core.backends import Dispatch
from builder.core.operators import Operator

if TYPE_CHECKING:
    from builder.core.model_facts import OperatorList


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Registrations to generate, units to compile, and the operators that units may register."""

    registrations: str
    """C++ source that registers the operators of torchgen and lists all selected operators."""
    always: frozenset[str] = frozenset()
    """Units to compile for every selection of operators."""
    by_hand: Mapping[Operator, frozenset[str]] = field(default_factory=dict)
    """Operator that is registered by hand in the sources -> units to compile for it."""
    at_run_time: Mapping[str, tuple[Dispatch, ...]] = field(default_factory=dict)
    """Struct of `at::_ops` -> the tensors that its `call` looks for before it calls the kernel for
    the CPU, since a backend has registered a kernel for them."""
    limits: Mapping[str, str]
    """Unit id -> text of a header that limits the unit.

    The header selects the operators that the unit registers by hand, or code that it can leave out.
    """

    @property
    def roots(self) -> frozenset[str]:
        """Units to compile even when no other unit refers to them."""
        # Links find all other units, by the symbols that these refer to.
        return self.always.union(*self.by_hand.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedOperators:
    """The operators of a runtime, with the selection that is built for them."""

    operators: OperatorList
    selection: Selection
    skipped: frozenset[Operator]
    """Operators that were requested, but are left out."""

    def without(self, operators: Collection[Operator]) -> ServedOperators:
        """Returns the same value with `operators` left out as well."""
        return replace(
            self,
            operators=self.operators.without(operators),
            skipped=self.skipped.union(operators),
        )
