"""Turns the relocations of the linker into references from one span to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.formats.elf import (
    ALLOC,
    EXECUTABLE,
    RELA,
    SECTION_SYMBOL,
    THREAD_LOCAL,
    Elf,
    Relocation,
    Section,
)
from builder.size.linked_library import Reference
from builder.size.spans import Spans

_X86_64 = 62
"""EM_X86_64."""
_BIASED = frozenset({2, 4, 9, 41, 42})
"""Relocations of x86-64 that count from the next instruction, so their addends are four too small
(R_X86_64_PC32, PLT32, GOTPCREL, GOTPCRELX, REX_GOTPCRELX)."""
_RELATIVE = {_X86_64: frozenset({2, 24}), 183: frozenset({260, 261, 262})}
"""Machine -> relocations for distances in data (R_X86_64_PC32, PC64; R_AARCH64_PREL64, 32, 16)."""
_SPECIAL_SECTIONS = 0xFF00
"""SHN_LORESERVE: from here on, section numbers have special meanings."""


def read_references(elf: Elf, spans: Spans, imports: Mapping[str, int]) -> Iterator[Reference]:
    """Yields all references between code and data of a library linked with `--emit-relocs`.

    Args:
        elf: the library.
        spans: the spans of the library.
        imports: name of an import -> its number as the target of references.
    """
    for section in elf.sections:
        # Relocations that are loaded are for the loader; those that --emit-relocs keeps are not
        # loaded.
        if section.kind != RELA or section.flags & ALLOC or section.info >= len(elf.sections):
            continue
        place_in = elf.sections[section.info]
        if not place_in.flags & ALLOC:
            continue
        for relocation in elf.relocations(section):
            reference = _resolve(elf, spans, imports, place_in, relocation)
            if reference is not None:
                yield reference


def _resolve(
    elf: Elf,
    spans: Spans,
    imports: Mapping[str, int],
    place_in: Section,
    relocation: Relocation,
) -> Reference | None:
    place = relocation.place
    source = spans.find(place)
    symbol = elf.symbols[relocation.symbol]
    # Thread-local and absolute symbols have no place in the spans.
    if source is None or symbol.kind == THREAD_LOCAL or symbol.section >= _SPECIAL_SECTIONS:
        return None
    if symbol.section == 0:
        target = imports.get(symbol.name)
        return None if target is None else Reference(place, source, target, 0)
    if _is_jump(elf, place_in, relocation, elf.sections[symbol.section]):
        return None
    # A reference into a symbol with a size is one to the whole symbol, whatever the addend is.
    address = symbol.address
    if symbol.kind == SECTION_SYMBOL or not symbol.size:
        biased = elf.machine == _X86_64 and relocation.kind in _BIASED
        in_code = bool(place_in.flags & EXECUTABLE)
        address += relocation.addend + (4 if biased and in_code else 0)
    target = spans.find(address)
    return None if target is None else Reference(place, source, target, address)


def _is_jump(elf: Elf, place_in: Section, relocation: Relocation, target_in: Section) -> bool:
    """Returns whether it is in a jump table, which refers only to the function that uses it."""
    return (
        not place_in.flags & EXECUTABLE
        and bool(target_in.flags & EXECUTABLE)
        and relocation.kind in _RELATIVE.get(elf.machine, ())
    )
