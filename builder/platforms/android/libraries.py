"""What a shared library says of itself, as far as rules ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.formats.damage import describe_damage
from builder.formats.elf import DAMAGE, EXECUTABLE, LOAD, NOBITS, SYMTAB, WEAK, Elf, Segment
from builder.verify.policy import find_paths

GNU_STACK, GNU_RELRO = 0x6474E551, 0x6474E552
SEGMENT_EXECUTABLE, SEGMENT_WRITABLE = 1, 2
_NEEDED, _SONAME, _RPATH, _TEXTREL, _BIND_NOW, _RUNPATH, _FLAGS = 1, 14, 15, 22, 24, 29, 30
_FLAGS_1, _HIDDEN_SECTIONS = 0x6FFFFFFB, 0xFF00


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFacts:
    """One shared library."""

    bits: int
    machine: int
    """`e_machine`."""
    segments: tuple[Segment, ...]
    tags: frozenset[int]
    """Of the dynamic section."""
    needed: tuple[str, ...]
    soname: str | None
    runpaths: tuple[str, ...]
    bind_now: bool
    text_relocations: bool
    exports: tuple[str, ...] | None
    """Symbols that others can use, sorted; None when the section headers are gone."""
    undefined: tuple[str, ...] | None
    """Symbols that must come from another library, sorted; None as above."""
    sections: frozenset[str]
    placed: tuple[tuple[int, int], ...]
    """Address, and address of the first byte behind, of each section that has a place in memory."""
    build_id: bool
    has_symbol_table: bool
    paths: tuple[str, ...]
    """Absolute paths in its data, sorted."""

    @property
    def loads(self) -> tuple[Segment, ...]:
        """The LOAD segments."""
        return tuple(segment for segment in self.segments if segment.kind == LOAD)


def read_facts(contents: bytes) -> BinaryFacts:
    """Returns the facts of a library; ValueError when it is none, or damaged."""
    try:
        return _read(Elf(contents))
    except DAMAGE as error:
        raise ValueError(
            f"not a shared library that can be read: {describe_damage(error)}"
        ) from error


def _read(elf: Elf) -> BinaryFacts:
    values: dict[int, int] = dict(elf.dynamic)
    # Old linkers write tags of their own, new ones bits of DT_FLAGS and DT_FLAGS_1.
    flags, flags_1 = values.get(_FLAGS, 0), values.get(_FLAGS_1, 0)
    # The dynamic symbol table is found by its section; a stripped header hides how long it is.
    told = any(section.size for section in elf.sections)
    # Each section is searched for paths, so overlapping ones would cost more than the file is
    # large.
    if sum(section.size for section in elf.sections if section.kind != NOBITS) > len(elf.data):
        raise ValueError("its sections overlap")
    names = frozenset(section.name for section in elf.sections)
    return BinaryFacts(
        bits=elf.bits,
        machine=elf.machine,
        segments=elf.segments,
        tags=frozenset(values),
        needed=elf.dynamic_texts(_NEEDED),
        soname=next(iter(elf.dynamic_texts(_SONAME)), None),
        runpaths=(*elf.dynamic_texts(_RPATH), *elf.dynamic_texts(_RUNPATH)),
        bind_now=bool(_BIND_NOW in values or flags & 8 or flags_1 & 1),
        text_relocations=bool(_TEXTREL in values or flags & 4),
        exports=_list_exports(elf) if told else None,
        undefined=_list_undefined(elf) if told else None,
        sections=names,
        placed=tuple((s.address, s.end) for s in elf.sections if s.address),
        build_id=".note.gnu.build-id" in names,
        has_symbol_table=any(section.kind == SYMTAB for section in elf.sections),
        paths=tuple(sorted(set(_find_paths(elf)))),
    )


def _list_exports(elf: Elf) -> tuple[str, ...]:
    defined = (s for s in elf.exported if s.section and s.binding and s.name)
    return tuple(sorted({symbol.name for symbol in defined}))


def _list_undefined(elf: Elf) -> tuple[str, ...]:
    # A weak undefined symbol may be missing at run time.
    asked = (s for s in elf.exported if not s.section and s.binding not in {0, WEAK} and s.name)
    return tuple(sorted({symbol.name for symbol in asked}))


def _find_paths(elf: Elf) -> Iterator[str]:
    """Looks at data only: code and tables of numbers hold any bytes by chance."""
    for section in elf.sections:
        if section.kind != NOBITS and not section.flags & EXECUTABLE:
            yield from find_paths(elf.content(section))
    # Without section headers, nothing tells data from code.
    if not elf.sections:
        yield from find_paths(elf.data)
