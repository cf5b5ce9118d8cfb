"""Measures a built library: the file, its sections, parts and units."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from builder.core.artifacts import SizeReport
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError
from builder.formats.damage import describe_damage
from builder.formats.elf import DAMAGE, NOBITS, NULL, Elf
from builder.size.elf.linkmap import is_optimised, read_pieces
from builder.system.files import MAX_LIBRARY, read_regular

RUNTIME_PART = "C++ runtime"
LINKER_PART = "linker tables and padding"
WHOLE_PART = "made by link-time optimisation"
"""Part for constants, unwinding tables and copies of functions that come from no single unit."""
_RUNTIME = re.compile(r"lib(stdc\+\+|supc\+\+|gcc|gcc_eh|c\+\+|c\+\+abi|unwind)\.a\(|/crt[^/]*\.o$")


def measure(
    library: Path, map_file: Path, objects: Path, *, units_map: Path | None = None
) -> SizeReport:
    """Returns the sizes of `library` and of its sections, parts and units.

    Args:
        library: stripped shared library (ELF).
        map_file: map of the same link from lld.
        objects: folder of the objects in the map.
        units_map: see `LinkResult.units_map`.

    Raises:
        ConfigurationError: `library` is not a little-endian ELF file, or is damaged.
    """
    units: Counter[str] = Counter()
    for piece in read_pieces(map_file, units_map):
        units[name_unit(piece.owner, objects)] += piece.size
    data = _read(library)
    sections = read_sections(library)
    # The linker makes tables and padding that no object owns.
    # So that all units together have exactly the size of the file.
    units[LINKER_PART] += len(data) - sum(units.values())
    return SizeReport(
        file=len(data),
        compressed=len(zlib.compress(data, 9)),
        sections=sections,
        parts=sum_parts(units),
        units=dict(units),
    )


def _read(library: Path) -> bytes:
    try:
        return read_regular(library, MAX_LIBRARY)
    except ValueError as error:
        raise ConfigurationError(f"{library} cannot be measured: {error}") from error


def read_sections(library: Path) -> dict[str, int]:
    """Returns section -> bytes in the file, with an entry for headers and padding."""
    elf = Elf(_read(library))
    if not elf.is_elf:
        # The numbers of a section with NOBITS count memory, not bytes of the file.
        raise ConfigurationError(f"{library} is not a little-endian ELF library")
    try:
        sizes = {
            section.name: section.size
            for section in elf.sections
            if section.kind not in {NULL, NOBITS}
        }
    except DAMAGE as error:
        raise ConfigurationError(
            f"{library} is a damaged ELF library: {describe_damage(error)}"
        ) from error
    # Sections do not cover the headers, the tables of them, and what lies between sections.
    sizes["headers and padding"] = len(elf.contents) - sum(sizes.values())
    return sizes


def name_unit(owner: str, objects: Path) -> str:
    """Returns the unit for an owner in the map, or the part of the library that it belongs to."""
    path = Path(owner)
    if path.is_relative_to(objects):
        # The suffix tells apart copies of one source for several instruction sets or builds.
        return path.relative_to(objects).as_posix().removesuffix(".o").partition("@")[0]
    if is_optimised(owner):
        return WHOLE_PART
    return RUNTIME_PART if _RUNTIME.search(owner) else LINKER_PART


def sum_parts(units: Mapping[str, int]) -> dict[str, int]:
    """Returns part of the library -> bytes, given unit -> bytes."""
    parts: Counter[str] = Counter()
    for unit, size in units.items():
        parts[part_of(unit)] += size
    return dict(parts)


def part_of(unit: str) -> str:
    """Returns the part of the library that `unit` belongs to, or `unit` itself without one."""
    return next((part for prefix, part in _prefixes() if unit.startswith(prefix)), unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartsFile:
    """The content of parts.toml."""

    parts: tuple[tuple[str, str], ...]
    """Prefix of the translation unit, and the part of the library."""


@cache
def _prefixes() -> tuple[tuple[str, str], ...]:
    text = resources.files("builder.size").joinpath("parts.toml").read_text()
    return parse_toml(text, _PartsFile, "parts.toml").parts
