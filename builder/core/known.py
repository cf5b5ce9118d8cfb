"""The operators that a PyTorch release can register in a mobile runtime, as a shipped file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

_ANY_OVERLOAD = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOperators:
    """Names of the operators that a release has."""

    exact: frozenset[str]
    """Names with their overloads: `aten::add.Tensor`, `aten::relu`."""
    any_overload: frozenset[str]
    """Names that sources register by hand; a macro may build the overload, so it is not known."""

    def has(self, name: str) -> bool:
        """Returns whether the release may have `name`, e.g. `aten::relu`; False is certain."""
        return name in self.exact or name.partition(".")[0] in self.any_overload

    def render(self) -> str:
        """Returns the sorted names, one per line; `*` stands for any overload."""
        # An exact name beside the same name with any overload would say nothing.
        covered = (name for name in self.exact if name.partition(".")[0] not in self.any_overload)
        lines = (*covered, *(name + _ANY_OVERLOAD for name in self.any_overload))
        return "".join(f"{line}\n" for line in sorted(lines))


def find_reason(operator: str, reasons: Mapping[str, str]) -> str:
    """Returns the reason of the pattern that fits an operator's name; empty if none does.

    A pattern such as `aten::det` fits all overloads, and `*` stands for any end of a name.
    """
    name = operator.partition(".")[0]
    return next((why for pattern, why in reasons.items() if fnmatchcase(name, pattern)), "")


def parse_known(lines: Iterable[str]) -> KnownOperators:
    """Returns the operators in the text of `render`; lines that start with `#` are comments."""
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return KnownOperators(
        exact=frozenset(name for name in names if not name.endswith(_ANY_OVERLOAD)),
        any_overload=frozenset(
            name.removesuffix(_ANY_OVERLOAD) for name in names if name.endswith(_ANY_OVERLOAD)
        ),
    )
