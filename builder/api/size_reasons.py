"""Questions about why something is in a library, which its reference graph answers."""

from __future__ import annotations

from pathlib import Path

from builder.api.measuring import read_references, size
from builder.errors import ConfigurationError
from builder.formats.elf import MAGIC
from builder.size.elf.linked import read_elf_alone
from builder.size.linked_graph import Registry, build_graph
from builder.size.reasons import Reasons
from builder.size.reference_graph import ReferenceGraph
from builder.system.files import MAX_LIBRARY, open_regular, read_regular

_NOTHING = Registry(operators=(), by_hand={}, always=frozenset(), limited=frozenset())
"""A library of somebody else registers nothing that builder knows."""


def read_reasons(path: Path) -> Reasons:
    """Returns what knows why each symbol is in a library.

    Args:
        path: a built runtime, or an unstripped ELF library for x86-64 or AArch64 that was linked
            with `--emit-relocs`, whoever linked it.

    Raises:
        ConfigurationError: there is no such runtime or library, it is damaged, or it tells too
            little.
    """
    if is_library(path):
        return Reasons(_read_library(path))
    return Reasons(read_references(size(path).root))


def is_library(path: Path) -> bool:
    """Returns whether `path` is an ELF file, and not a runtime or a package."""
    try:
        with open_regular(path) as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def _read_library(path: Path) -> ReferenceGraph:
    try:
        linked = read_elf_alone(read_regular(path, MAX_LIBRARY))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if linked is None:
        raise ConfigurationError(
            f"{path} does not say what refers to what",
            hint="link it with -Wl,--emit-relocs, and do not strip it",
        )
    return build_graph(linked, _NOTHING)
