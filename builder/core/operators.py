"""Operators, and sets of operators that remember which models use them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*::[A-Za-z_][A-Za-z0-9_]*")
LONGEST_NAME, _SHOWN = 1000, 100
"""Characters of a name with its overload, and of one in an error."""
_OVERLOAD = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """An operator with its overload, like `c10::OperatorName`."""

    name: str
    """Name with its namespace, e.g. `aten::add`."""
    overload: str = ""
    """Name of the overload, e.g. `Tensor`; empty for the default overload."""

    def __post_init__(self) -> None:
        # Names come from foreign files and go into C++ text, so only plain ones pass.
        if len(self.name) + len(self.overload) > LONGEST_NAME or not (
            _NAME.fullmatch(self.name) and _OVERLOAD.fullmatch(self.overload)
        ):
            name, overload = self.name[:_SHOWN], self.overload[:_SHOWN]
            raise ValueError(f"not an operator: {name!r} overload {overload!r}")

    @classmethod
    def parse(cls, text: str) -> Operator:
        """Returns the operator for text like `aten::add.Tensor`; ValueError for other text."""
        name, _, overload = text.strip().partition(".")
        return cls(name, overload)

    @property
    def namespace(self) -> str:
        """The namespace, e.g. `aten` for `aten::add.Tensor`."""
        return self.name.split("::", 1)[0]

    def __str__(self) -> str:
        return f"{self.name}.{self.overload}" if self.overload else self.name


@dataclass(frozen=True, slots=True)
class OperatorSet:
    """A set of operators, each with the names of the models that use it."""

    wanted_by: Mapping[Operator, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, operators: Iterable[Operator], *, source: str) -> OperatorSet:
        """Returns the set of `operators`; `source` is the model that uses them all."""
        return cls({operator: frozenset({source}) for operator in operators})

    def __iter__(self) -> Iterator[Operator]:
        # Sorted, because generated text and keys depend on the order.
        return iter(sorted(self.wanted_by))

    def __len__(self) -> int:
        return len(self.wanted_by)

    def __contains__(self, operator: object) -> bool:
        return operator in self.wanted_by

    def __or__(self, other: OperatorSet) -> OperatorSet:
        merged = dict(self.wanted_by)
        for operator, sources in other.wanted_by.items():
            merged[operator] = merged.get(operator, frozenset()) | sources
        return OperatorSet(merged)

    def __sub__(self, other: OperatorSet) -> OperatorSet:
        return OperatorSet({o: s for o, s in self.wanted_by.items() if o not in other})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OperatorSet) and dict(self.wanted_by) == dict(other.wanted_by)

    def __hash__(self) -> int:
        return hash(frozenset(self.wanted_by.items()))

    def sources(self, operator: Operator) -> tuple[str, ...]:
        """Returns the sorted names of the models that use `operator`."""
        return tuple(sorted(self.wanted_by.get(operator, ())))
