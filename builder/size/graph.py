"""Makes the reference graph of a library that was linked with `--emit-relocs`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.elf import Elf
from builder.core.operators import Operator
from builder.core.registrations import parse_registration
from builder.size.drafts import Draft, charge_tables, draft_spans
from builder.size.linkmap import InputSection, parse_names, read_pieces
from builder.size.measuring import name_unit
from builder.size.references import ReferenceGraph
from builder.size.regions import (
    LIST_OF_OPERATORS,
    Region,
    find_regions,
    list_entries,
)
from builder.size.relocations import Reference, read_references
from builder.size.spans import cut_spans

_IMPORT = 24 + 2 + 1 + 16 + 8 + 24
"""Bytes of an imported symbol: dynamic symbol, version, end of name, PLT, GOT, relocation."""
_ENTRIES = frozenset({".init", ".fini", ".fini_array"})
_BY_UNIT = frozenset({".init_array", ".gcc_except_table"})
_GLOBAL, _SPECIAL_SECTIONS = 1, 0xFF00


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Which operators a library has, and where they are registered."""

    operators: Sequence[Operator]
    by_hand: Mapping[Operator, frozenset[str]]
    """Operator that sources register by hand -> units that are linked for it."""
    always: frozenset[str]
    """Units that are linked whatever operators there are."""
    limited: frozenset[str]
    """Units that register by hand, and only what the build allows."""


def read_graph(
    library: Path,
    map_file: Path,
    objects: Path,
    registry: Registry,
    *,
    units_map: Path | None = None,
) -> ReferenceGraph | None:
    """Returns the reference graph of a library; None when it carries no relocations to read.

    Args:
        library: unstripped, linked with `--emit-relocs`, for x86-64 or AArch64.
        map_file: lld's map of that link.
        objects: folder that object paths in the map are relative to.
        registry: of its operators.
        units_map: see `LinkResult`.
    """
    elf = Elf(library.read_bytes())
    if not any(section.name == ".rela.text" for section in elf.sections):
        return None
    pieces = read_pieces(map_file, units_map)
    with map_file.open(errors="replace") as stream:
        names = parse_names(stream)
    unit_names = {piece.owner: name_unit(piece.owner, objects) for piece in pieces}
    return build_graph(elf, pieces, names, unit_names, registry)


def build_graph(
    elf: Elf,
    pieces: Sequence[InputSection],
    names: Mapping[int, str],
    unit_names: Mapping[str, str],
    registry: Registry,
) -> ReferenceGraph:
    """Returns the reference graph of `elf`.

    Args:
        elf: unstripped library.
        pieces: of the linker's map.
        names: address -> symbol as a person would write it.
        unit_names: owner in the map -> unit.
        registry: of its operators.
    """
    draft = draft_spans(cut_spans(elf, pieces), names, unit_names)
    charge_tables(draft, elf)
    undefined = sorted({s.name for s in elf.exported if s.section == 0 and s.name})
    imports = {name: draft.add(name, size=_IMPORT + len(name)) for name in undefined}
    operators = {operator: draft.add(str(operator)) for operator in registry.operators}
    references = list(read_references(elf, draft.spans, imports))
    regions = sorted(_find_regions(draft, elf, references, registry), key=lambda r: r.start)
    _draw(draft, elf, references, regions, operators)
    units = _bind_units(draft, elf, unit_names)
    for operator, wanted in registry.by_hand.items():
        draft.targets[operators[operator]].update(units[u] for u in wanted if u in units)
    starts = _find_starts(draft, elf)
    return draft.finish(_find_roots(draft, starts, units, registry, operators), operators)


def _find_regions(
    draft: Draft, elf: Elf, references: Sequence[Reference], registry: Registry
) -> Iterator[Region]:
    limited = {draft.units[unit] for unit in registry.limited if unit in draft.units}

    def registers(reference: Reference) -> bool:
        return draft.unit_of[reference.source] in limited

    by_hand = {str(operator): operator for operator in registry.by_hand}
    yield from find_regions(elf, filter(registers, references), by_hand)
    every = {str(operator): operator for operator in registry.operators}
    listed = (r for r in references if draft.names[r.source] == LIST_OF_OPERATORS)
    yield from list_entries(elf, listed, every)


def _draw(
    draft: Draft,
    elf: Elf,
    references: Iterable[Reference],
    regions: Sequence[Region],
    operators: Mapping[Operator, int],
) -> None:
    """Draws the edges.

    What a region refers to is its operator's; so are registering functions and tables themselves.
    """
    claimed = {region.source for region in regions if region.in_table}
    for symbol in elf.symbols:
        operator = parse_registration(symbol.name)
        span = draft.spans.find(symbol.address)
        if operator is not None and operator in operators and span is not None:
            claimed.add(span)
            draft.targets[operators[operator]].add(span)
    starts = [region.start for region in regions]
    for reference in references:
        index = bisect_right(starts, reference.place) - 1
        source = reference.source
        if index >= 0 and reference.place < regions[index].end:
            source = operators[regions[index].operator]
        if reference.target not in claimed:
            draft.targets[source].add(reference.target)
    for region in regions:
        draft.sizes[region.source] -= region.size
        draft.sizes[operators[region.operator]] += region.size
        if region.in_table:
            draft.targets[operators[region.operator]].add(region.source)
    _join_split_symbols(draft, elf)


def _join_split_symbols(draft: Draft, elf: Elf) -> None:
    for symbol in elf.symbols:
        if symbol.size and 0 < symbol.section < _SPECIAL_SECTIONS:
            for span in draft.spans.covered(symbol.address, symbol.size)[:-1]:
                draft.targets[span].add(span + 1)


def _bind_units(draft: Draft, elf: Elf, unit_names: Mapping[str, str]) -> dict[str, int]:
    """Adds a node per unit: who needs a definition of it gets all that comes with the unit.

    That is its initialisers, and the exception tables of functions that were folded into equal
    ones: no unwinding entry leads there any more.
    """
    nodes: dict[str, int] = {}
    claimed = set().union(*draft.targets.values())
    for span, piece in draft.spans.pieces.items():
        if piece.section in _BY_UNIT and span not in claimed:
            unit = unit_names[piece.owner]
            if unit not in nodes:
                nodes[unit] = draft.add("", unit)
            draft.targets[nodes[unit]].add(span)
    placed = {s.name: s.address for s in elf.symbols if 0 < s.section < _SPECIAL_SECTIONS}
    for owner, unit in unit_names.items():
        if unit in nodes and Path(owner).is_file():
            for name in _definitions(Path(owner)):
                defined = draft.spans.find(placed.get(name, 0))
                if defined is not None:
                    draft.targets[defined].add(nodes[unit])
    return nodes


def _definitions(path: Path) -> Iterator[str]:
    """Yields the symbols that an object alone defines."""
    for symbol in Elf(path.read_bytes()).symbols:
        if symbol.binding == _GLOBAL and 0 < symbol.section < _SPECIAL_SECTIONS:
            yield symbol.name


def _find_starts(draft: Draft, elf: Elf) -> set[int]:
    """Returns the spans where the loader and the runtime's users come in."""
    addresses = [s.address for s in elf.exported if 0 < s.section < _SPECIAL_SECTIONS]
    addresses += [s.address for s in elf.sections if s.name in _ENTRIES]
    return {span for span in map(draft.spans.find, addresses) if span is not None}


def _find_roots(
    draft: Draft,
    starts: set[int],
    units: Mapping[str, int],
    registry: Registry,
    operators: Mapping[Operator, int],
) -> set[int]:
    """Returns `starts`, units linked for no operator, and what was kept for unseen reasons."""
    graph = draft.finish((), {})
    roots = starts | {node for unit, node in units.items() if unit in registry.always}
    reached = graph.reach({*roots, *operators.values()})
    for node in units.values():
        if node not in reached:
            roots.add(node)
            reached |= graph.reach([node], known=frozenset(reached))
    return roots | {node for node in range(len(draft.spans)) if node not in reached}
