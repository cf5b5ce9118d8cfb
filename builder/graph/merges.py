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
        output = join(one, other)
        # The node does not list the output yet. `settle` does that for those that are read.
        output.producer = node
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

    def settle(self) -> bool:
        """Adds the joins that are read to their nodes.

        Returns False if a path leaves the register empty for a join that is read.
        """
        wanted: set[int] = set()
        waiting = list(self.read)
        while waiting:
            made = self.made.get(waiting.pop())
            # Joins of loops refer to each other in circles.
            if made is None or id(made) in wanted:
                continue
            wanted.add(id(made))
            for source in made.sources:
                if source is None:
                    return False
                waiting.append(source)
        # The order of creation and not that of a set, so that equal files give equal graphs.
        for made in self.joins:
            if id(made) in wanted:
                _settle(made)
        return True

    def _add(self, made: _Join) -> None:
        self.joins.append(made)
        self.made[made.output] = made
        if made.turn is not None:
            self.made[made.turn] = made


def join(one: Value, other: Value) -> Value:
    """Returns a new value for what is one of two."""
    return Value(one.type if one.type == other.type else "")


def forget_types(loop: Node) -> None:
    """Makes types of carried values unknown where the first turn has another than later ones."""
    (body,) = loop.blocks
    places = zip(loop.inputs[2:], body.inputs[1:], body.outputs[1:], loop.outputs, strict=True)
    for first, turn, last, after in places:
        # An int may become a float in the first turn, for example.
        if first.type != last.type:
            turn.type = after.type = ""


def _settle(made: _Join) -> None:
    node = made.node
    node.add_output(made.output)
    one, other = made.sources
    assert other is not None
    if made.turn is None:
        node.blocks[0].outputs.append(one)
        node.blocks[1].outputs.append(other)
    else:
        node.inputs.append(one)
        node.blocks[0].inputs.append(made.turn)
        node.blocks[0].outputs.append(other)
        forget_types(node)
