"""Translation units: what can be compiled, and with which flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationUnit:
    """One source file compiled in one way. Paths may hold `@SOURCE@` and `@GENERATED@`."""

    id: str
    """Stable across machines: source path without folder prefixes, POSIX."""
    library: str
    """The upstream CMake target it belongs to."""
    language: str
    """`C`, `CXX`, `OBJCXX` or `ASM`."""
    source: str
    """Absolute path of the file to compile."""
    flags: tuple[str, ...]
    """Definitions, include folders and options, without compiler, source and output."""
    generated: bool = False
    """True for files that torchgen writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitGraph:
    """All translation units that upstream's build knows for one configuration."""

    units: Mapping[str, TranslationUnit]

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolIndex:
    """Which unit defines what: a hint for the chooser, never a proof; the link is the proof."""

    defined_in: Mapping[str, tuple[str, ...]]
    """Qualified name without parameters -> ids of units, or of groups of generated code."""

    def find_units(self, qualified_name: str) -> tuple[str, ...]:
        """Returns the ids of the units that define `qualified_name`; empty when unknown."""
        return self.defined_in.get(qualified_name, ())
