"""Reads an ELF library that was linked with `--emit-relocs`, for the prices of operators."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from builder.core.operators import Operator
from builder.core.registration_names import parse_registration
from builder.formats.damage import describe_damage
from builder.formats.elf import (
    ALLOC,
    DAMAGE,
    EXECUTABLE,
    FINI_ARRAY,
    INIT_ARRAY,
    NOBITS,
    PROGBITS,
    RELA,
    SECTION_SYMBOL,
    THREAD_DATA,
    THREAD_LOCAL,
    Elf,
    Section,
)
from builder.size.elf.linkmap import InputSection, parse_names, read_pieces
from builder.size.elf.relocations import read_references
from builder.size.elf.tables import charge_tables
from builder.size.linked_library import Block, Linked
from builder.size.measure import LINKER_PART, name_unit
from builder.size.spans import Area, Spans, cut_spans

_IMPORT = 24 + 2 + 1 + 16 + 8 + 24
"""Bytes of an imported symbol: dynamic symbol, version, end of name, PLT, GOT, relocation."""
_DYNAMIC_RELOCATION = 24
"""Bytes of an Elf64_Rela entry."""
_LIST_OF_OPERATORS = "torchlite::selected_operators"
_TABLES = (".eh_frame", ".eh_frame_hdr", ".got", ".got.plt", ".plt", ".interp")
"""Sections whose entries are counted for the functions and data that they describe."""
# The loader finds these sections by entries of the dynamic section, so no relocation refers to
# them.
_ENTRIES = frozenset({".init", ".fini", ".fini_array"})
"""Sections that the loader calls."""
_INITIALISERS = frozenset({".init_array", ".preinit_array", ".ctors"})
_BY_UNIT = frozenset({".init_array", ".gcc_except_table"})
"""Sections whose contents belong to a unit when nothing refers to them: initialisers, and exception
tables of functions that were merged with equal ones, so no unwinding entry refers to them."""
_BITS, _MACHINES = 64, frozenset({62, 183})
"""Class and machines (EM_X86_64, EM_AARCH64) of the libraries whose references are understood."""
_GLOBAL, _SPECIAL_SECTIONS = 1, 0xFF00
"""STB_GLOBAL; SHN_LORESERVE, from which on section numbers have special meanings."""


def read_elf(
    library: Path, map_file: Path, objects: Path, *, units_map: Path | None = None
) -> Linked | None:
    """Returns the contents and references of a library; None when it has no relocations.

    Args:
        library: unstripped library for x86-64 or AArch64, linked with `--emit-relocs`.
        map_file: map of that link from lld.
        objects: folder of the objects in the map.
        units_map: see `LinkResult.units_map`.
    """
    elf = Elf(library.read_bytes())
    if not _keeps_references(elf):
        return None
    # Empty pieces have the address of their neighbour, and would take its place in a search.
    pieces = sorted((p for p in read_pieces(map_file, units_map) if p.size), key=_address)
    spans = _cut(elf, pieces)
    inside = dict(_find_pieces(spans, pieces))
    units = {piece.owner: name_unit(piece.owner, objects) for piece in pieces}
    # The map has the names as C++ spells them; the symbol table has them mangled.
    with map_file.open(errors="replace") as stream:
        shown = parse_names(stream)
    linked = _read_linked(elf, spans, shown)
    # What somebody refers to is reached that way, and needs no tie to its unit.
    known = {r.target for r in linked.references} | {target for _, target in linked.ties}
    bound = _bind(inside, units, known)
    return replace(
        linked,
        units=tuple(
            units[inside[span].owner] if span in inside else LINKER_PART
            for span in range(len(spans))
        ),
        bound=bound,
        definitions=_find_definitions(elf, spans, {o: u for o, u in units.items() if u in bound}),
    )


def read_elf_alone(contents: bytes) -> Linked | None:
    """Returns the contents and references of any library; None when it has no relocations.

    Nothing tells the units of a library of somebody else: each symbol's unit is the section that it
    is in, and its name is mangled.

    Raises:
        ValueError: the library is damaged, or is not one for x86-64 or AArch64.
    """
    elf = Elf(contents)
    try:
        is_understood = elf.is_elf and elf.bits == _BITS and elf.machine in _MACHINES
        linked = _read_alone(elf) if is_understood and _keeps_references(elf) else None
    except (*DAMAGE, KeyError) as error:
        raise ValueError(f"the library is damaged: {describe_damage(error)}") from error
    if not is_understood:
        raise ValueError("it is not an ELF library for x86-64 or AArch64")
    return linked


def _read_alone(elf: Elf) -> Linked:
    _refuse_overlaps(elf)
    spans = _cut(elf, ())
    linked = _read_linked(elf, spans, _name_symbols(elf))
    units = tuple(_name_sections(elf, spans))
    # No map tells the unit of an initialiser, so the loader is what calls them all.
    called = (span for span, section in enumerate(units) if section in _INITIALISERS)
    return replace(linked, units=units, starts=linked.starts.union(called))


def _keeps_references(elf: Elf) -> bool:
    # Only --emit-relocs keeps the relocations of code in a linked library.
    return any(section.name == ".rela.text" for section in elf.sections)


def _refuse_overlaps(elf: Elf) -> None:
    """Raises ValueError when headers name the same bytes or addresses again and again."""
    if sum(section.size for section in elf.sections if section.kind == RELA) > len(elf.contents):
        raise ValueError("its relocations overlap")
    loaded = sorted((s.address, s.end) for s in elf.sections if _holds_symbols(s))
    if any(end > start for (_, end), (start, _) in pairwise(loaded)):
        raise ValueError("its sections overlap")


def _name_sections(elf: Elf, spans: Spans) -> Iterator[str]:
    """Yields the name of the section that each span is in."""
    holding = sorted((s.address, s.name) for s in elf.sections if _holds_symbols(s))
    for start, size in zip(spans.starts, spans.sizes, strict=True):
        place = bisect_right(holding, start, key=itemgetter(0)) - 1
        yield holding[place][1] if size and place >= 0 else LINKER_PART


def _read_linked(elf: Elf, spans: Spans, shown: Mapping[int, str]) -> Linked:
    """Returns what the library itself tells, with all spans in no unit.

    Args:
        elf: the library.
        spans: the spans of the library.
        shown: address -> the name of the symbol there.
    """
    names = tuple(shown.get(start, "") for start in spans.starts)
    # An import has section 0 in the dynamic symbol table; its number follows those of the spans.
    undefined = sorted({s.name for s in elf.exported if s.section == 0 and s.name})
    imports = {name: len(spans) + number for number, name in enumerate(undefined)}
    extra, ties = charge_tables(spans, elf)
    return Linked(
        spans=spans,
        names=names,
        units=(LINKER_PART,) * len(spans),
        blocks=tuple(_list_blocks(elf)),
        imports={name: _IMPORT + len(name) for name in undefined},
        references=tuple(read_references(elf, spans, imports)),
        registrations=tuple(_find_registrations(elf, spans)),
        extra=extra,
        ties=(*ties, *_join_split_symbols(elf, spans)),
        bound={},
        definitions={},
        lists=frozenset(i for i, name in enumerate(names) if name == _LIST_OF_OPERATORS),
        starts=frozenset(_find_starts(elf, spans)),
        filled_in=_DYNAMIC_RELOCATION,
    )


def _name_symbols(elf: Elf) -> dict[int, str]:
    """Returns address -> the first symbol with a size there, or the first one without."""
    named: dict[int, str] = {}
    for symbol in sorted(elf.symbols, key=lambda symbol: not symbol.size):
        if symbol.kind not in {SECTION_SYMBOL, THREAD_LOCAL} and symbol.name:
            named.setdefault(symbol.address, symbol.name)
    return named


def _address(piece: InputSection) -> int:
    return piece.address


def _cut(elf: Elf, pieces: Iterable[InputSection]) -> Spans:
    indices = {i for i, section in enumerate(elf.sections) if _holds_symbols(section)}
    holding = [elf.sections[index] for index in indices]
    marks = {piece.address for piece in pieces}
    marks |= {
        symbol.address
        for symbol in elf.symbols
        # The address of a thread-local symbol is an offset in the thread's block, not in the
        # library.
        if symbol.section in indices and symbol.kind not in {SECTION_SYMBOL, THREAD_LOCAL}
    }
    return cut_spans((Area(s.address, s.end, s.kind != NOBITS) for s in holding), marks)


def _holds_symbols(section: Section) -> bool:
    return (
        section.kind in {PROGBITS, NOBITS, INIT_ARRAY, FINI_ARRAY}
        # .tbss takes no address space, so its addresses overlap those of the sections behind it.
        and section.flags & (ALLOC | THREAD_DATA) == ALLOC
        and section.size > 0
        and section.name not in _TABLES
    )


def _find_pieces(
    spans: Spans, pieces: Sequence[InputSection]
) -> Iterator[tuple[int, InputSection]]:
    """Yields each span that comes from an input section, with that section."""
    addresses = [piece.address for piece in pieces]
    for span, (start, size) in enumerate(zip(spans.starts, spans.sizes, strict=True)):
        place = bisect_right(addresses, start) - 1
        if size and place >= 0 and start < pieces[place].address + pieces[place].size:
            yield span, pieces[place]


def _list_blocks(elf: Elf) -> Iterator[Block]:
    for section in elf.sections:
        if section.address:
            content = elf.content(section) if section.kind == PROGBITS else b""
            yield Block(section.address, section.size, content, bool(section.flags & EXECUTABLE))


def _find_registrations(elf: Elf, spans: Spans) -> Iterator[tuple[int, Operator]]:
    for symbol in elf.symbols:
        operator = parse_registration(symbol.name)
        span = spans.find(symbol.address)
        if operator is not None and span is not None:
            yield span, operator


def _join_split_symbols(elf: Elf, spans: Spans) -> Iterator[tuple[int, int]]:
    """Yields edges between the spans of one symbol, which other symbols inside of it cut."""
    # Symbols may overlap, so the spans of all are joined in one walk: symbols that cover
    # everything cost no more than others.
    changes: Counter[int] = Counter()
    for symbol in elf.symbols:
        if symbol.size and 0 < symbol.section < _SPECIAL_SECTIONS:
            covered = spans.covered(symbol.address, symbol.size)
            if len(covered) > 1:
                changes[covered.start] += 1
                changes[covered.stop - 1] -= 1
    open_symbols = 0
    for span in range(len(spans)):
        open_symbols += changes[span]
        if open_symbols:
            yield span, span + 1


def _bind(
    inside: Mapping[int, InputSection], units: Mapping[str, str], known: set[int]
) -> dict[str, tuple[int, ...]]:
    bound: defaultdict[str, list[int]] = defaultdict(list)
    for span, piece in inside.items():
        if piece.section in _BY_UNIT and span not in known:
            bound[units[piece.owner]].append(span)
    return {unit: tuple(spans) for unit, spans in bound.items()}


def _find_definitions(
    elf: Elf, spans: Spans, units: Mapping[str, str]
) -> dict[str, tuple[int, ...]]:
    """Returns unit -> spans of symbols that only its object defines; `units` is by owner."""
    placed = {s.name: s.address for s in elf.symbols if 0 < s.section < _SPECIAL_SECTIONS}
    definitions: defaultdict[str, list[int]] = defaultdict(list)
    for owner, unit in units.items():
        # Owners such as <internal> and members of archives are no objects of their own.
        if Path(owner).is_file():
            for symbol in Elf(Path(owner).read_bytes()).symbols:
                if symbol.binding == _GLOBAL and 0 < symbol.section < _SPECIAL_SECTIONS:
                    span = spans.find(placed.get(symbol.name, 0))
                    definitions[unit] += [] if span is None else [span]
    return {unit: tuple(sorted(set(numbers))) for unit, numbers in definitions.items()}


def _find_starts(elf: Elf, spans: Spans) -> Iterator[int]:
    """Yields the spans of the entry points, which the loader or users of the runtime call."""
    addresses = [s.address for s in elf.exported if 0 < s.section < _SPECIAL_SECTIONS]
    addresses += [s.address for s in elf.sections if s.name in _ENTRIES]
    for address in addresses:
        span = spans.find(address)
        if span is not None:
            yield span
