"""Builds the reference graph of a linked library."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from builder.core.operators import Operator
from builder.size.hand_registrations import Region, find_regions, list_entries
from builder.size.linked_library import Linked, Reference
from builder.size.measure import LINKER_PART
from builder.size.reference_graph import ReferenceGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The operators of a library, and the units that register them."""

    operators: Sequence[Operator]
    """All operators of the library."""
    by_hand: Mapping[Operator, frozenset[str]]
    """Operator that is registered by hand in the sources -> units that are linked for it."""
    always: frozenset[str]
    """Units that are linked for every set of operators."""
    limited: frozenset[str]
    """Units that register operators by hand, and only the selected ones."""


def build_graph(linked: Linked, registry: Registry) -> ReferenceGraph:
    """Returns the reference graph of `linked`, with the operators of `registry`."""
    # References number the spans and imports, so their nodes come first.
    draft = draft_nodes(linked)
    operators = {operator: draft.add(str(operator)) for operator in registry.operators}
    # Sorted by address, so that the region around a reference is found by bisection.
    regions = sorted(_find_regions(linked, registry), key=lambda region: region.start)
    _draw(draft, linked, regions, operators)
    # Units get nodes after the spans and imports, whose numbers the references use already.
    units = _bind_units(draft, linked)
    for operator, wanted in registry.by_hand.items():
        draft.targets[operators[operator]].update(units[u] for u in wanted if u in units)
    return draft.finish(_find_roots(draft, linked, units, registry, operators), operators)


def _find_regions(linked: Linked, registry: Registry) -> Iterator[Region]:
    # Other units can name operators too, but these names register nothing.
    def registers(reference: Reference) -> bool:
        return linked.units[reference.source] in registry.limited

    by_hand = {str(operator): operator for operator in registry.by_hand}
    yield from find_regions(linked, filter(registers, linked.references), by_hand)
    # Every operator stands in the list of the library, also those that generated code registers.
    every = {str(operator): operator for operator in registry.operators}
    listed = (r for r in linked.references if r.source in linked.lists)
    yield from list_entries(linked, listed, every)


def _draw(
    draft: Draft, linked: Linked, regions: Sequence[Region], operators: Mapping[Operator, int]
) -> None:
    """Adds the edges to the graph.

    Everything that a region refers to belongs to the operator of the region. Functions and tables
    that register operators belong to them as well.
    """
    claimed = {region.source for region in regions if region.in_table}
    for span, operator in linked.registrations:
        if operator in operators:
            claimed.add(span)
            draft.targets[operators[operator]].add(span)
    starts = [region.start for region in regions]
    for reference in linked.references:
        # The last region that starts before the place; regions do not overlap.
        index = bisect_right(starts, reference.place) - 1
        source = reference.source
        if index >= 0 and reference.place < regions[index].end:
            source = operators[regions[index].operator]
        # Otherwise one table of all registrations would make every operator need every other one.
        # A registering function belongs to its operator alone, though other code refers to it.
        if reference.target not in claimed:
            draft.targets[source].add(reference.target)
    # The bytes of a region move from the function or table around it to the operator.
    for region in regions:
        draft.sizes[region.source] -= region.size
        draft.sizes[operators[region.operator]] += region.size
        if region.in_table:
            draft.targets[operators[region.operator]].add(region.source)


def _bind_units(draft: Draft, linked: Linked) -> dict[str, int]:
    """Adds a node per unit: a reference to one of its definitions brings the whole unit."""
    nodes = {unit: draft.add("", unit) for unit in linked.bound}
    for unit, node in nodes.items():
        draft.targets[node].update(linked.bound[unit])
        # Initialisers of a unit run when the unit is linked, and any of its definitions brings it.
        for defined in linked.definitions.get(unit, ()):
            draft.targets[defined].add(node)
    return nodes


def _find_roots(
    draft: Draft,
    linked: Linked,
    units: Mapping[str, int],
    registry: Registry,
    operators: Mapping[Operator, int],
) -> set[int]:
    """Returns the entry points, the units of every build, and everything that nothing else reaches.

    The linker kept the last kind for reasons that the graph does not show, so it stays as well.
    """
    graph = draft.finish((), {})
    # Edges between operators and spans must exist by now: what is reached decides the roots.
    roots = linked.starts | {node for unit, node in units.items() if unit in registry.always}
    reached = graph.reach({*roots, *operators.values()})
    for node in units.values():
        if node not in reached:
            roots |= {node}
            reached |= graph.reach([node], known=frozenset(reached))
    return {*roots, *(node for node in range(len(linked.spans)) if node not in reached)}


@dataclass(kw_only=True)
class Draft:
    """An unfinished graph; its nodes are first the spans, then the imports, then all others."""

    sizes: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    unit_of: list[int] = field(default_factory=list)
    targets: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, name: str, unit: str = LINKER_PART, size: int = 0) -> int:
        """Adds a node and returns its number; `size` is in bytes."""
        self.names.append(name)
        self.sizes.append(size)
        self.unit_of.append(self.units.setdefault(unit, len(self.units)))
        return len(self.sizes) - 1

    def finish(self, roots: Iterable[int], operators: Mapping[Operator, int]) -> ReferenceGraph:
        """Returns the finished graph."""
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
    """Returns a draft with the spans and imports of a library, and the edges in `linked.ties`."""
    draft = Draft()
    for span, (name, unit) in enumerate(zip(linked.names, linked.units, strict=True)):
        draft.add(name, unit, linked.spans.weights[span] + linked.extra.get(span, 0))
    for name, size in linked.imports.items():
        draft.add(name, size=size)
    for source, target in linked.ties:
        draft.targets[source].add(target)
    return draft
