"""The chooser: compiles what the link asks for, until nothing is undefined.

Why this is sound: the link refuses undefined symbols in live sections, so a runtime that links has
every function it can call by name. What is reached otherwise (static initialisers, names looked up
at run time) is in the selection's roots. See docs/explanation/how-it-works.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.units import SymbolIndex
from builder.errors import NativeBuildError
from builder.native.symbol_names import parse_qualified_name

if TYPE_CHECKING:
    from builder.native.together import Steps

MAX_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Closure:
    """A set of units that links."""

    units: frozenset[str]
    rounds: int


def close(
    roots: Collection[str],
    index: SymbolIndex,
    *,
    try_link: Callable[[frozenset[str]], Steps[tuple[str, ...]]],
) -> Steps[Closure]:
    """Finds the smallest set that holds `roots` and links, by the steps of `try_link`.

    Args:
        roots: unit ids to start from.
        index: where to look for definitions of undefined names.
        try_link: compiles and links a set of units; returns the demangled undefined names.

    Raises:
        NativeBuildError: a name is undefined and no other unit defines it.
    """
    # The set only grows, so a round adds a unit or the loop ends.
    units = frozenset(roots)
    for round_number in range(1, MAX_ROUNDS + 1):
        # The linker is the judge: it names only what live sections need.
        undefined = yield from try_link(units)
        if not undefined:
            return Closure(units, round_number)
        # The index was made from another build, so it is a hint: the next link proves or refutes
        # it.
        wanted = {name: index.find_units(parse_qualified_name(name)) for name in undefined}
        found = {unit for candidates in wanted.values() for unit in candidates} - units
        # Every candidate is compiled already and the name is still undefined: no other unit can
        # help.
        if not found:
            raise NativeBuildError(_describe(wanted))
        units |= found
    raise NativeBuildError(f"the link was not complete after {MAX_ROUNDS} rounds")


def _describe(wanted: dict[str, tuple[str, ...]]) -> str:
    lines = [
        f"  {name}" + (f" (expected in {', '.join(units)})" if units else "")
        for name, units in sorted(wanted.items())
    ]
    # Twenty names show the pattern; a missing feature can leave thousands undefined.
    shown = lines[:20] + ([f"  ... and {len(lines) - 20} more"] if len(lines) > 20 else [])
    return "the runtime needs symbols that no translation unit defines:\n" + "\n".join(shown)
