"""Says why symbols are in a library: what refers to them, what keeps them, and what they keep."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from builder.errors import ConfigurationError, ModelError
from builder.size.dominators import Dominators, find_dominators
from builder.size.reference_graph import ReferenceGraph

_MOST_NAMES = 10
"""Names in one list of a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one symbol is in a library."""

    symbol: str
    unit: str
    """The translation unit or the part of the library that defines it."""
    bytes: int
    """Its own bytes in the file."""
    retained: int
    """Bytes that the library would lose without it, its own included."""
    path: tuple[str, ...]
    """A shortest chain of references to it, from an entry point or an operator, itself last."""
    keepers: tuple[str, ...]
    """Symbols that are on every chain of references to it: without any one of them it would go."""
    users: tuple[str, ...]
    """Symbols that refer to it, largest first, at most ten."""
    user_count: int
    """How many symbols refer to it."""
    operators: tuple[str, ...]
    """Operators that reach it, sorted; all of them where the runtime always needs it."""
    is_always: bool
    """Whether the library needs it even without any operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """A symbol that alone keeps others in a library."""

    symbol: str
    unit: str
    bytes: int
    """Its own bytes in the file."""
    retained: int
    """Bytes that the library would lose without it, its own included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a library would lose without some symbols."""

    pattern: str
    symbols: int
    """How many symbols the pattern names."""
    bytes: int
    """Bytes that the library would lose without them."""
    largest: tuple[Retained, ...]
    """What would go, those with the most bytes of their own first, at most ten."""


@dataclass(frozen=True)
class Reasons:
    """Answers questions about one graph of references."""

    graph: ReferenceGraph

    def explain(self, text: str, count: int) -> tuple[tuple[Reason, ...], int]:
        """Returns the reasons of the `count` largest symbols for `text`, and how many there are.

        A symbol with this whole name is meant alone; otherwise all whose names contain it.

        Raises:
            ModelError: no symbol has such a name.
        """
        names = self.graph.names
        found = [node for node, name in enumerate(names) if name == text]
        found = found or [node for node, name in enumerate(names) if text in name]
        found = [node for node in found if node in self.retained]
        if not found:
            raise ModelError(
                f"no symbol in the library has {text!r} in its name",
                hint="--dominators 50 lists the symbols that keep the most bytes",
            )
        largest = sorted(found, key=lambda node: (-self.retained[node], names[node], node))
        return tuple(map(self._explain, largest[:count])), len(found)

    def list_retained(self, count: int) -> tuple[Retained, ...]:
        """Returns the `count` symbols that alone keep the most bytes, largest first.

        A symbol is left out where all that it keeps is its own, and operators are left out.
        """
        operators = {*self.graph.operators.values()}
        keeping = {
            node
            for node, size in self.retained.items()
            if size > self.graph.sizes[node] and node not in operators
        }
        return self._largest(keeping, self.retained, count)

    def cut(self, pattern: str) -> Cut:
        """Returns what the library would lose without the symbols and units that match.

        Args:
            pattern: regular expression of Python, searched in names of symbols and of units.

        Raises:
            ConfigurationError: the pattern is not a regular expression.
            ModelError: nothing matches it.
        """
        try:
            matches = re.compile(pattern).search
        except (re.error, RecursionError, OverflowError) as error:
            raise ConfigurationError(f"{pattern!r} is not a regular expression: {error}") from error
        graph = self.graph
        units = {place for place, unit in enumerate(graph.units) if matches(unit)}
        cut = {
            node
            for node in self.retained
            if graph.names[node] or graph.sizes[node]
            if graph.unit_of[node] in units or matches(graph.names[node])
        }
        if not cut:
            raise ModelError(
                f"no symbol and no unit of the library matches {pattern!r}",
                hint="the names are those that --dominators and --why print",
            )
        starts = [node for node in self._starts if node not in cut]
        left = self.graph.reach(starts, known=frozenset(cut))
        gone = self.retained.keys() - left
        own = {node: graph.sizes[node] for node in gone if graph.sizes[node] > 0}
        return Cut(
            pattern=pattern,
            symbols=len(cut),
            bytes=graph.weigh(gone),
            largest=self._largest(own, own, _MOST_NAMES),
        )

    @cached_property
    def retained(self) -> dict[int, int]:
        """Node -> bytes that the library would lose without it."""
        return self.dominators.retained(self.graph.sizes)

    @cached_property
    def dominators(self) -> Dominators:
        """The dominator tree, whose entry points are the roots and the operators."""
        return find_dominators(self.graph.targets, self._starts)

    def name(self, node: int) -> str:
        """Returns what a person calls the node."""
        name, unit = self.graph.names[node], self.graph.units[self.graph.unit_of[node]]
        return name or (f"data of {unit}" if self.graph.sizes[node] else unit)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return tuple(sorted({*self.graph.roots, *self.graph.operators.values()}))

    @cached_property
    def _users(self) -> list[list[int]]:
        users: list[list[int]] = [[] for _ in self.graph.sizes]
        for source, targets in enumerate(self.graph.targets):
            for target in targets:
                if target != source:
                    users[target].append(source)
        return users

    def _explain(self, node: int) -> Reason:
        graph = self.graph
        above = self._find_above(node)
        users = sorted(self._users[node], key=lambda n: (-graph.sizes[n], self.name(n)))
        return Reason(
            symbol=self.name(node),
            unit=graph.units[graph.unit_of[node]],
            bytes=graph.sizes[node],
            retained=self.retained[node],
            path=tuple(map(self.name, self._find_path(node))),
            keepers=tuple(map(self.name, self.dominators.chain(node))),
            users=tuple(map(self.name, users[:_MOST_NAMES])),
            user_count=len(users),
            operators=tuple(sorted(o for o, at in graph.operators.items() if at in above)),
            is_always=not above.isdisjoint(graph.roots),
        )

    def _find_above(self, node: int) -> set[int]:
        """Returns `node` and all nodes that reach it."""
        found, waiting = {node}, [node]
        while waiting:
            for user in self._users[waiting.pop()]:
                if user not in found:
                    found.add(user)
                    waiting.append(user)
        return found

    def _find_path(self, node: int) -> Sequence[int]:
        """Returns a shortest chain of references from an entry point to `node`."""
        starts, after = frozenset(self._starts), {node: node}
        waiting = deque([node])
        while waiting:
            one = waiting.popleft()
            if one in starts:
                return _follow(one, after)
            for user in self._users[one]:
                if user not in after:
                    after[user] = one
                    waiting.append(user)
        return (node,)

    def _largest(
        self, nodes: Iterable[int], weights: Mapping[int, int], count: int
    ) -> tuple[Retained, ...]:
        chosen = sorted(nodes, key=lambda node: (-weights[node], self.name(node), node))[:count]
        return tuple(
            Retained(
                symbol=self.name(node),
                unit=self.graph.units[self.graph.unit_of[node]],
                bytes=self.graph.sizes[node],
                retained=self.retained[node],
            )
            for node in chosen
        )


def _follow(node: int, after: Mapping[int, int]) -> list[int]:
    path = [node]
    while after[path[-1]] != path[-1]:
        path.append(after[path[-1]])
    return path
