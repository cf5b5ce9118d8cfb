"""Which part of an initialiser or table registers which operator, where sources do it by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from builder.core.operators import Operator
from builder.size.linked import Linked, Reference

_LIST_ENTRY = 8


class Region(NamedTuple):
    """What stands between the mention of an operator and that of the next."""

    operator: Operator
    source: int
    start: int
    """Address."""
    end: int
    size: int
    """Bytes that go with the operator."""
    in_table: bool = False
    """True where a table is nothing but zeros, and takes no bytes, without its operators."""


def find_regions(
    linked: Linked, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the regions of functions and tables that register operators.

    A registration names its operator, or gives its schema, in a string literal before it hands
    over the function. Code goes with its operator; a table keeps its length until its last one
    goes, only the loader has less to fill in.

    Args:
        linked: the library.
        references: from these functions and tables.
        operators: by name.
    """
    ordered = sorted(references, key=attrgetter("source", "place"))
    for _, group in groupby(ordered, key=attrgetter("source")):
        inside = list(group)
        found = [
            (reference.place, operator)
            for reference in inside
            if (operator := operators.get(linked.text_at(reference.address).partition("(")[0]))
        ]
        yield from _bound(linked, found, inside)


def list_entries(
    linked: Linked, references: Iterable[Reference], operators: Mapping[str, Operator]
) -> Iterator[Region]:
    """Yields the entries of the library's own list of operators."""
    for reference in references:
        operator = operators.get(linked.text_at(reference.address))
        if operator is not None:
            start = reference.place
            size = _LIST_ENTRY + linked.filled_in
            yield Region(operator, reference.source, start, start + _LIST_ENTRY, size)


def _bound(
    linked: Linked, found: Sequence[tuple[int, Operator]], references: Sequence[Reference]
) -> Iterator[Region]:
    if not found:
        return
    source = references[0].source
    in_code = linked.is_code(found[0][0])
    ends = [*(place for place, _ in found[1:]), references[-1].place + 1]
    for (start, operator), end in zip(found, ends, strict=True):
        filled_in = sum(start <= reference.place < end for reference in references)
        size = end - start if in_code else filled_in * linked.filled_in
        yield Region(operator, source, start, end, size, in_table=not in_code)
