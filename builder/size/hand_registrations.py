"""Finds the parts of initialisers and tables that register operators by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from builder.core.operators import Operator
from builder.size.linked_library import Linked, Reference

_LIST_ENTRY = 8
"""Bytes of an entry in the library's own list of operators: one pointer."""


class Region(NamedTuple):
    """The bytes from the name of an operator to the name of the next one."""

    operator: Operator
    source: int
    """The span that contains the region."""
    start: int
    """Address of the first byte."""
    end: int
    """Address behind the last byte."""
    size: int
    """Bytes that the library would lose without the operator."""
    in_table: bool = False
    """Whether the region is in a table, which is all zeros without its operators."""


def find_regions(
    linked: Linked, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the regions of functions and tables that register operators.

    A registration passes the name or the schema of its operator, a string literal, before it passes
    the function. Without an operator, its code is removed. A table keeps its length until its last
    operator is removed, but the loader has fewer addresses to fill in.

    Args:
        linked: the library.
        references: the references from these functions and tables.
        operators: name -> operator.
    """
    # Addresses order the names and functions of one registration as the source has them.
    ordered = sorted(references, key=attrgetter("source", "place"))
    for _, group in groupby(ordered, key=attrgetter("source")):
        inside = list(group)
        named = [
            (reference.place, operator)
            for reference in inside
            # A literal is a name or a whole schema; the name ends at its parenthesis.
            if (operator := operators.get(linked.text_at(reference.address).partition("(")[0]))
        ]
        yield from _bound(linked, named, inside)


def list_entries(
    linked: Linked, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the entries of the library's own list of operators."""
    for reference in references:
        operator = operators.get(linked.text_at(reference.address))
        if operator is not None:
            start = reference.place
            # The entry goes, and with it the relocation that fills it in.
            size = _LIST_ENTRY + linked.filled_in
            yield Region(operator, reference.source, start, start + _LIST_ENTRY, size)


def _bound(
    linked: Linked, named: Sequence[tuple[int, Operator]], references: Sequence[Reference]
) -> Iterator[Region]:
    if not named:
        return
    source = references[0].source
    in_code = linked.is_code(named[0][0])
    # The last region ends behind the last reference: what follows it belongs to no operator.
    ends = [*(place for place, _ in named[1:]), references[-1].place + 1]
    for (start, operator), end in zip(named, ends, strict=True):
        filled_in = sum(start <= reference.place < end for reference in references)
        # Code is removed with its bytes; in a table only the relocations of its entries go.
        size = end - start if in_code else filled_in * linked.filled_in
        yield Region(operator, source, start, end, size, in_table=not in_code)
