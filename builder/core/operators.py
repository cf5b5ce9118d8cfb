"""Operators, and sets of operators that remember which models use them.

Prices find the registration of an operator in a library by the name of a function.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*::[A-Za-z_][A-Za-z0-9_]*")
_LONGEST, _SHOWN, _MOST_COMPARED = 1000, 100, 10_000
"""Characters of a name; characters shown in an error; names that similar ones are searched in."""
_OVERLOAD = re.compile(r"[A-Za-z0-9_]*")
_PREFIX = "register_operator_"
"""Start of the names of the functions that register one operator each."""
_SYMBOL = re.compile(rf"^(?:_ZL\d+)?{_PREFIX}(?P<escaped>[A-Za-z0-9_]+)")
# The names have to be valid in C and to be decoded without doubt, so `_` is escaped as well.
_ESCAPES = {"_": "_u", "::": "_c", ".": "_o"}
_ESCAPED = re.compile("|".join(map(re.escape, _ESCAPES.values())))


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """An operator with its overload, like `c10::OperatorName`."""

    name: str
    """Name with its namespace, e.g. `aten::add`."""
    overload: str = ""
    """Name of the overload, e.g. `Tensor`; empty for the default overload."""

    def __post_init__(self) -> None:
        # Names come from foreign files and go into C++ text, so only plain ones pass.
        if len(self.name) + len(self.overload) > _LONGEST or not (
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


def near_names(name: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Returns at most `limit` names in `known` that are similar to `name`, best first.

    Other overloads of the same operator come before names with a similar spelling.
    """
    known = (other for other in set(known) - {name} if len(other) <= _LONGEST)
    # Sorted before the cut, so that the same names are compared in every run.
    candidates = sorted(known)[:_MOST_COMPARED]
    base = name.partition(".")[0]
    family = [other for other in candidates if other.partition(".")[0] == base]
    # With cutoff 0, every overload of the same operator counts as similar.
    close = difflib.get_close_matches(name, family, n=limit, cutoff=0.0)
    close += difflib.get_close_matches(name, candidates, n=limit, cutoff=0.75)
    return tuple(dict.fromkeys(close))[:limit]


def registration_name(operator: Operator) -> str:
    """Returns the name of the function in C, e.g. `register_operator_aten_cadd_oTensor`."""
    return _PREFIX + re.sub(r"_|::|\.", lambda match: _ESCAPES[match[0]], str(operator))


def parse_registration(symbol: str) -> Operator | None:
    """Returns the operator that the function `symbol` registers; None for any other function.

    Link-time optimisation may have appended something like `.llvm.123` to the name.
    """
    match = _SYMBOL.match(symbol)
    if match is None:
        return None
    plain = {escape: text for text, escape in _ESCAPES.items()}
    try:
        return Operator.parse(_ESCAPED.sub(lambda found: plain[found[0]], match["escaped"]))
    except ValueError:
        return None
