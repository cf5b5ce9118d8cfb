"""Which part of an initialiser registers which operator, where sources register by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from builder.core.operators import Operator
from builder.size.elf import EXECUTABLE, Elf
from builder.size.relocations import Reference

LIST_OF_OPERATORS = "torchlite::selected_operators"
_LIST_ENTRY = 8


class Region(NamedTuple):
    """Code between the first mention of an operator and that of the next."""

    operator: Operator
    source: int
    start: int
    """Address."""
    end: int


def find_regions(
    elf: Elf, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the regions of functions that register operators.

    A registration names its operator, or gives its schema, in a string literal before it hands
    over the function.

    Args:
        elf: the library.
        references: from these functions.
        operators: by name.
    """
    ordered = sorted(references, key=attrgetter("source", "place"))
    for source, group in groupby(ordered, key=attrgetter("source")):
        inside = list(group)
        found = [
            (reference.place, operator)
            for reference in inside
            if (operator := operators.get(_text_at(elf, reference.address).partition("(")[0]))
        ]
        yield from _bound(source, found, inside)


def list_entries(
    elf: Elf, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the entries of the library's own list of operators."""
    for reference in references:
        operator = operators.get(_text_at(elf, reference.address))
        if operator is not None:
            start = reference.place
            yield Region(operator, reference.source, start, start + _LIST_ENTRY)


def _bound(
    source: int, found: Sequence[tuple[int, Operator]], references: Sequence[Reference]
) -> Iterator[Region]:
    if found:
        last = max(reference.place for reference in references)
        ends = [*(place for place, _ in found[1:]), last + 1]
        for (place, operator), end in zip(found, ends, strict=True):
            yield Region(operator, source, place, end)


def _text_at(elf: Elf, address: int) -> str:
    for section in elf.sections:
        if section.address <= address < section.end and section.address:
            if section.flags & EXECUTABLE or section.kind != 1:
                return ""
            content = bytes(elf.content(section)[address - section.address :][:4096])
            return content.partition(b"\0")[0].decode(errors="replace")
    return ""
