"""Which operators a PyTorch release can register in a mobile runtime, as a file that ships."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_ANY_OVERLOAD = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOperators:
    """Names of operators."""

    exact: frozenset[str]
    """With their overloads: `aten::add.Tensor`, `aten::relu`."""
    any_overload: frozenset[str]
    """Names that sources register by hand, where the overload may be put together by a macro."""

    def has(self, name: str) -> bool:
        """Returns whether `name`, e.g. `aten::add.Tensor`, may be there; never wrongly False."""
        return name in self.exact or name.partition(".")[0] in self.any_overload

    def render(self) -> str:
        """Returns a line for each name, sorted; `*` stands for any overload."""
        covered = (name for name in self.exact if name.partition(".")[0] not in self.any_overload)
        lines = (*covered, *(name + _ANY_OVERLOAD for name in self.any_overload))
        return "".join(f"{line}\n" for line in sorted(lines))


def parse_known(lines: Iterable[str]) -> KnownOperators:
    """Returns what `render` wrote; lines that start with `#` are comments."""
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return KnownOperators(
        exact=frozenset(name for name in names if not name.endswith(_ANY_OVERLOAD)),
        any_overload=frozenset(
            name.removesuffix(_ANY_OVERLOAD) for name in names if name.endswith(_ANY_OVERLOAD)
        ),
    )
