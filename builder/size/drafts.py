"""A reference graph in the making: its nodes, and what the library's tables add to their sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from builder.core.operators import Operator
from builder.size.linked import Linked
from builder.size.measuring import LINKER_PART
from builder.size.references import ReferenceGraph


@dataclass(kw_only=True)
class Draft:
    """A graph in the making; spans come first, then imports, then other nodes."""

    sizes: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    unit_of: list[int] = field(default_factory=list)
    targets: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, name: str, unit: str = LINKER_PART, size: int = 0) -> int:
        """Returns a new node."""
        self.names.append(name)
        self.sizes.append(size)
        self.unit_of.append(self.units.setdefault(unit, len(self.units)))
        return len(self.sizes) - 1

    def finish(self, roots: Iterable[int], operators: Mapping[Operator, int]) -> ReferenceGraph:
        """Returns the graph."""
        return ReferenceGraph(
            names=tuple(self.names),
            sizes=tuple(self.sizes),
            units=tuple(self.units),
            unit_of=tuple(self.unit_of),
            targets=tuple(tuple(sorted(self.targets[n])) for n in range(len(self.sizes))),
            roots=tuple(sorted(roots)),
            operators={str(operator): operators[operator] for operator in sorted(operators)},
        )


def draft_nodes(linked: Linked) -> Draft:
    """Returns a draft with the spans and imports of a library, and what tables tie together."""
    draft = Draft()
    for span, (name, unit) in enumerate(zip(linked.names, linked.units, strict=True)):
        draft.add(name, unit, linked.spans.weights[span] + linked.extra.get(span, 0))
    for name, size in linked.imports.items():
        draft.add(name, size=size)
    for source, target in linked.ties:
        draft.targets[source].add(target)
    return draft
