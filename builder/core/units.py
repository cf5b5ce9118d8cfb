"""Translation units: the files that can be compiled, with their flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationUnit:
    """One source file with the flags to compile it."""

    id: str
    """The same on every machine: path of the source without folder prefixes, POSIX."""
    library: str
    """The CMake target of PyTorch that it belongs to."""
    language: str
    """`C`, `CXX`, `OBJCXX` or `ASM`."""
    source: str
    """Absolute path of the file to compile."""
    flags: tuple[str, ...]
    """Definitions, include folders and options; without the compiler, source and output."""
    generated: bool = False
    """Whether torchgen writes the source file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitGraph:
    """All translation units of PyTorch's build in one configuration."""

    units: Mapping[str, TranslationUnit]

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolIndex:
    """Units by the names that they define: a hint which units to compile; the link is the proof."""

    defined_in: Mapping[str, tuple[str, ...]]
    """Qualified name without parameters -> ids of units or of groups of generated code."""

    def find_units(self, qualified_name: str) -> tuple[str, ...]:
        """Returns the ids of the units that define `qualified_name`; empty for an unknown name."""
        return self.defined_in.get(qualified_name, ())
