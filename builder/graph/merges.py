"""Joins the values of registers where paths meet, and keeps only the joins that are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from builder.graph.graph import Node, Value


@dataclass(frozen=True, slots=True, eq=False)
class _Join:
    node: Node
    sources: tuple[Value, Value | None]
    """The values that the register has on the two paths; the first one of a loop is from before
    it, and the second one from the end of a turn."""
    output: Value
    turn: Value | None = None
    """The value at the beginning of a turn, for a loop."""


@dataclass(slots=True)
class Merges:
    """The joins of one function.

    Most registers are not read behind the branch or loop that sets them, so a join becomes an
    output of its node only in `settle`.
    """

    joins: list[_Join] = field(default_factory=list)
    made: dict[Value, _Join] = field(default_factory=dict)
    read: list[Value] = field(default_factory=list)

    def join_branches(self, node: Node, one: Value | None, other: Value | None) -> Value | None:
        """Returns what a register holds behind a `prim::If`; None if a path leaves it empty."""
        if one is None or other is None or one is other:
            return one and other
        output = Value(one.type if one.type == other.type else "", producer=node)
        self._add(_Join(node, (one, other), output))
        return output

    def join_turns(self, node: Node, start: Value, turn: Value, last: Value | None) -> Value | None:
        """Returns what a register holds behind a `prim::Loop`; None if a turn leaves it empty.

        Args:
            node: the loop.
            start: the value before the loop.
            turn: the value at the beginning of a turn.
            last: the value at the end of a turn; None if it is empty then.
        """
        output = Value(start.type, name=start.name, producer=node)
        self._add(_Join(node, (start, last), output, turn))
        return None if last is None else output

    def mark(self, value: Value) -> None:
        """Notes that an instruction reads `value` from a register."""
        self.read.append(value)

    def settle(self) -> Node | None:
        """Adds the joins that are read to their nodes.

        Returns a node with a join that is read though one path leaves the register empty; None if
        there is no such node.
        """
        wanted: set[int] = set()
        waiting = list(self.read)
        while waiting:
            join = self.made.get(waiting.pop())
            if join is None or id(join) in wanted:
                continue
            wanted.add(id(join))
            for source in join.sources:
                if source is None:
                    return join.node
                waiting.append(source)
        for join in self.joins:
            if id(join) in wanted:
                _settle(join)
        return None

    def _add(self, join: _Join) -> None:
        self.joins.append(join)
        self.made[join.output] = join
        if join.turn is not None:
            self.made[join.turn] = join


def _settle(join: _Join) -> None:
    node = join.node
    node.add_output(join.output)
    one, other = join.sources
    assert other is not None
    if join.turn is None:
        node.blocks[0].outputs.append(one)
        node.blocks[1].outputs.append(other)
    else:
        node.inputs.append(one)
        node.blocks[0].inputs.append(join.turn)
        node.blocks[0].outputs.append(other)
