"""Reads an image that was linked from a static library for Apple, for prices of operators."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from builder.core.operators import Operator
from builder.core.registration_names import parse_registration
from builder.formats.eh_frame import parse_frames
from builder.formats.macho import INITIALISERS, INSTRUCTIONS, ZERO_FILL, MachFile, read_macho
from builder.formats.unwind_info import parse_unwind_info
from builder.size.linked_library import Block, Linked, Reference
from builder.size.macho.measure import Atom, list_units, parse_macho_map
from builder.size.macho.places import STRINGS, Pair, PlacedObject, place_object
from builder.size.measure import LINKER_PART
from builder.size.spans import Area, Spans, cut_spans

_STUBS = frozenset({0x6, 0x7, 0x8})
"""Types of sections that represent imports: pointers, lazy pointers, and code (stubs)."""
_TABLES = frozenset({"__unwind_info", "__eh_frame", "__stub_helper"})
"""Sections whose entries are counted for the functions that they describe."""
_IMPORT = 16 + 4 + 2
"""Bytes of an import besides its stub and pointer: symbol, fixup, and the ends of two names."""
_INDIRECT = 4
"""Bytes of the entry that connects a stub or a pointer with its symbol."""
_INITIALISER = 4
"""Bytes of the offset of an initialiser."""
_LIST_OF_OPERATORS = "__ZN9torchlite18selected_operatorsE"


def read_image(
    image: Path, map_file: Path, merged: Path, objects: Path, *, units_map: Path | None = None
) -> Linked:
    """Returns the contents and references of an image.

    Args:
        image: stripped image of a link that removed unused code.
        map_file: map of that link.
        merged: the object that link-time optimisation made for the link.
        objects: folder of the objects; objects of assembly code are linked unchanged.
        units_map: see `LinkResult.units_map`.

    Raises:
        ValueError: one of the files is damaged.
    """
    file = read_macho(image.read_bytes())
    # The map lists imports and tables too; only what lies in code and data becomes a span.
    every = parse_macho_map(map_file.read_text(errors="replace"))
    areas = tuple(_list_areas(file))
    # By address, as the spans are.
    atoms = sorted((a for a in every if _holds(areas, a.address)), key=lambda a: a.address)
    inputs = tuple(_place(file, atoms, merged))
    pairs = [pair for placed in inputs for pair in placed.list_pairs()]
    marks = {atom.address for atom in atoms}
    # Jump tables and constants without a symbol would be part of what happens to stand before them.
    marks |= {p.target for p in pairs if p.anonymous and isinstance(p.target, int)}
    spans = cut_spans(areas, marks)
    imports = _list_imports(file, every)
    numbers = {name: len(spans) + number for number, name in enumerate(imports)}
    units = _spread(spans, atoms, list_units(atoms, objects, units_map))
    bound = _bind(spans, units, inputs)
    extra, ties = _charge_tables(file, spans)
    for span in (span for bound_spans in bound.values() for span in bound_spans):
        # S_INIT_FUNC_OFFSETS: 32 bits per initialiser, instead of a pointer (<mach-o/loader.h>).
        extra[span] += _INITIALISER
    return Linked(
        spans=spans,
        names=tuple(_list_names(spans, atoms)),
        units=units,
        blocks=tuple(Block(s.address, s.size, s.content, _is_code(s.flags)) for s in file.sections),
        imports=imports,
        references=tuple(_find_references(spans, pairs, numbers)),
        registrations=tuple(_find_registrations(spans, atoms)),
        extra=extra,
        ties=ties,
        bound=bound,
        definitions=_find_definitions(spans, atoms, objects, units_map, bound),
        lists=_find(spans, (a.address for a in atoms if a.name == _LIST_OF_OPERATORS)),
        starts=_find(spans, (a.address for a in atoms if a.name in file.exports)),
        filled_in=0,
    )


def _is_code(flags: int) -> bool:
    return bool(flags & INSTRUCTIONS)


def _list_areas(file: MachFile) -> Iterator[Area]:
    for s in file.sections:
        if s.size and s.kind not in _STUBS | INITIALISERS and s.name not in _TABLES:
            yield Area(s.address, s.address + s.size, s.kind not in ZERO_FILL)


def _holds(areas: Iterable[Area], address: int) -> bool:
    return any(area.start <= address < area.end for area in areas)


def _place(file: MachFile, atoms: Sequence[Atom], merged: Path) -> Iterator[PlacedObject]:
    """Yields the objects of a link.

    Local symbols of assembly code can have the same name in several objects, so each of these
    objects is placed with its own symbols.
    """
    machine = {a.owner for a in atoms if a.owner.endswith(".o") and not a.was_bitcode}
    # The merged object is placed by its own call, because its symbols come from many units.
    machine -= {str(merged)}
    texts = dict(_list_texts(file, atoms))
    shared = {a.name: a.address for a in atoms}
    # What the linker says of bitcode is about the one object that was made of it.
    known = {a.name: a.address for a in atoms if a.was_bitcode or a.owner not in machine}
    yield place_object(read_macho(merged.read_bytes()), known, shared, texts)
    for owner in sorted(machine):
        known = {a.name: a.address for a in atoms if a.owner == owner}
        yield place_object(read_macho(Path(owner).read_bytes()), known, shared, texts)


def _list_texts(file: MachFile, atoms: Sequence[Atom]) -> Iterator[tuple[bytes, int]]:
    for section in file.sections:
        if section.kind == STRINGS:
            for atom in atoms:
                start = atom.address - section.address
                if 0 <= start < section.size:
                    yield section.content[start:].partition(b"\0")[0], atom.address


def _list_imports(file: MachFile, atoms: Iterable[Atom]) -> dict[str, int]:
    """Returns symbol of another library -> bytes that the import of it takes."""
    stubs = [s for s in file.sections if s.kind in _STUBS]
    areas = [Area(s.address, s.address + s.size, in_file=True) for s in stubs]
    taken: Counter[str] = Counter()
    for atom in atoms:
        if _holds(areas, atom.address):
            # What kind of entry it is may stand in front of the name of the import.
            taken[atom.name.rpartition(": ")[2]] += atom.size + _INDIRECT
    return {n: _IMPORT + 2 * len(n) + taken[n] for n in sorted(file.undefined)}


def _find_references(
    spans: Spans, pairs: Iterable[Pair], numbers: Mapping[str, int]
) -> Iterator[Reference]:
    for place, to, _ in pairs:
        source = spans.find(place)
        target = numbers.get(to) if isinstance(to, str) else spans.find(to)
        if source is not None and target is not None:
            yield Reference(place, source, target, to if isinstance(to, int) else 0)


def _spread(spans: Spans, atoms: Sequence[Atom], units: Sequence[str]) -> tuple[str, ...]:
    """Returns the unit of each span, which is the unit of the atom at its start."""
    addresses = [atom.address for atom in atoms]
    unit_of_spans = []
    for start, size in zip(spans.starts, spans.sizes, strict=True):
        index = bisect_right(addresses, start) - 1
        inside = index >= 0 and size and start < _end(atoms, addresses, index)
        unit_of_spans.append(units[index] if inside else LINKER_PART)
    return tuple(unit_of_spans)


def _end(atoms: Sequence[Atom], addresses: Sequence[int], index: int) -> int:
    """Returns the end of the largest atom at the address of atom `index`; several may share it."""
    same = bisect_right(addresses, addresses[index])
    # Several symbols can start at one address, such as aliases, and the map has them in any order.
    first = same - 1
    while first > 0 and addresses[first - 1] == addresses[index]:
        first -= 1
    return addresses[index] + max(*(a.size for a in atoms[first:same]), 1)


def _list_names(spans: Spans, atoms: Iterable[Atom]) -> Iterator[str]:
    names: dict[int, str] = {}
    for atom in atoms:
        # The assembler's own labels say nothing to a reader.
        if not atom.name.startswith("ltmp"):
            names.setdefault(atom.address, atom.name)
    for start in spans.starts:
        yield names.get(start, "")


def _find_registrations(spans: Spans, atoms: Iterable[Atom]) -> Iterator[tuple[int, Operator]]:
    for atom in atoms:
        # On Apple's platforms, names in C have an underscore in front.
        operator = parse_registration(atom.name.removeprefix("_"))
        span = spans.find(atom.address)
        if operator is not None and span is not None:
            yield span, operator


def _find(spans: Spans, addresses: Iterable[int]) -> frozenset[int]:
    return frozenset(span for span in map(spans.find, addresses) if span is not None)


def _bind(
    spans: Spans, units: Sequence[str], inputs: Iterable[PlacedObject]
) -> dict[str, tuple[int, ...]]:
    """Returns unit -> spans of its initialisers."""
    bound: defaultdict[str, list[int]] = defaultdict(list)
    for span in sorted(_find(spans, (a for placed in inputs for a in placed.list_initialisers()))):
        bound[units[span]].append(span)
    return {unit: tuple(numbers) for unit, numbers in bound.items()}


def _find_definitions(
    spans: Spans,
    atoms: Iterable[Atom],
    objects: Path,
    units_map: Path | None,
    bound: Mapping[str, object],
) -> dict[str, tuple[int, ...]]:
    """Returns unit -> spans of the symbols that only its object defines."""
    if units_map is None:
        return {}
    placed = {atom.name: atom.address for atom in atoms}
    before = parse_macho_map(units_map.read_text(errors="replace"))
    units = dict(zip((a.owner for a in before), list_units(before, objects, None), strict=True))
    return {
        unit: tuple(sorted(_find(spans, _list_definitions(Path(owner), placed))))
        for owner, unit in units.items()
        if unit in bound and Path(owner).is_relative_to(objects)
    }


def _list_definitions(path: Path, placed: Mapping[str, int]) -> Iterator[int]:
    for symbol in read_macho(path.read_bytes()).symbols:
        # Weak definitions are in many objects, and the linker may have kept the one of another
        # unit.
        if symbol.section and symbol.is_external and not symbol.is_weak and symbol.name in placed:
            yield placed[symbol.name]


def _charge_tables(
    file: MachFile, spans: Spans
) -> tuple[Counter[int], tuple[tuple[int, int], ...]]:
    """Returns span -> bytes of its table entries, and pairs of span and exception table."""
    extra: Counter[int] = Counter()
    ties: list[tuple[int, int]] = []
    for function, size, exceptions in _list_unwinding(file):
        span = spans.find(function)
        table = None if exceptions is None else spans.find(exceptions)
        if span is not None:
            extra[span] += size
            ties += [] if table is None else [(span, table)]
    return extra, tuple(ties)


def _list_unwinding(file: MachFile) -> Iterator[tuple[int, int, int | None]]:
    """Yields the address of each function, the bytes of its entry, and its exception table."""
    for section in file.sections:
        if section.name == "__unwind_info":
            yield from parse_unwind_info(section.content)
        elif section.name == "__eh_frame":
            yield from parse_frames(section.content, section.address)
