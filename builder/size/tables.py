"""Tables whose entries belong to functions and data: unwinding, dynamic relocations."""

from __future__ import annotations

from builder.core.elf import RELA, Elf
from builder.size.unwinding import Frame, parse_frames


def read_frames(elf: Elf) -> tuple[Frame, ...]:
    """Returns the unwinding entries of all functions."""
    return tuple(
        frame
        for section in elf.sections
        if section.name == ".eh_frame"
        for frame in parse_frames(bytes(elf.content(section)), section.address)
    )


def read_relocated(elf: Elf) -> tuple[int, ...]:
    """Returns the addresses that the loader fills in; each has an entry in `.rela.dyn`."""
    return tuple(
        relocation.place
        for section in elf.sections
        if section.name == ".rela.dyn" and section.kind == RELA
        for relocation in elf.relocations(section)
    )
