"""Higher-order operators, which run graphs: branches, loops and wrappers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from builder.graph.graph import IF, LOOP, Block, Node, Value
from builder.pt2.document import Subgraph
from builder.pt2.graph_builder import GraphBuilder
from builder.pt2.kinds import Kind, Operand, UnsupportedError


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Adds higher-order operators to a graph."""

    graph_builder: GraphBuilder
    inline: Callable[[Subgraph, Sequence[Operand]], list[Operand]]
    """Adds the nodes of a graph with the given inputs, and returns its outputs."""

    def convert(self, name: str, arguments: Sequence[Any]) -> list[Operand]:
        """Adds a higher-order operator, and returns its results.

        Args:
            name: its name, such as `cond`.
            arguments: operands, and graphs (`Subgraph`).

        Raises:
            UnsupportedError: builder does not convert it.
        """
        match name, arguments:
            case "cond", [condition, Subgraph() as yes, Subgraph() as no, *operands]:
                return self._cond(condition, yes, no, list(_leaves(operands)))
            case "while_loop", [Subgraph() as test, Subgraph() as body, carried, *others]:
                return self._loop(test, body, list(_leaves([carried])), list(_leaves(others)))
            # Nothing is trained on the device, so gradients on or off make no difference.
            case "wrap_with_set_grad_enabled", [_, Subgraph() as inner, *operands]:
                return self.inline(inner, operands)
            case "wrap_with_autocast", [_, _, enabled, _, Subgraph() as inner, *operands]:
                if enabled is not False:
                    raise UnsupportedError(
                        "automatic mixed precision chooses dtypes at run time; export without it"
                    )
                return self.inline(inner, operands)
            # Checkpoints save memory in training only.
            case "tag_activation_checkpoint" | "wrap", [Subgraph() as inner, *operands]:
                return self.inline(inner, operands)
            case "invoke_subgraph", [Subgraph() as inner, str(), *operands]:
                return self.inline(inner, operands)
        raise UnsupportedError("builder does not convert this higher-order operator")

    def _inline_values(self, subgraph: Subgraph, operands: Sequence[Operand]) -> list[Value]:
        results = self.inline(subgraph, operands)
        return [self.graph_builder.as_value(result) for result in results]

    def _cond(
        self, condition: Operand, yes: Subgraph, no: Subgraph, operands: Sequence[Operand]
    ) -> list[Operand]:
        # The condition was constant when the program was exported.
        if isinstance(condition, bool):
            return self.inline(yes if condition else no, operands)
        test = self._truth(condition)
        outer = self.graph_builder.block
        blocks = [Block(), Block()]
        for block, branch in zip(blocks, (yes, no), strict=True):
            self.graph_builder.block = block
            try:
                block.outputs = self._inline_values(branch, operands)
            finally:
                self.graph_builder.block = outer
        types = [[value.type for value in block.outputs] for block in blocks]
        # The outputs of `prim::If` have one type each, whichever branch runs.
        if types[0] != types[1]:
            raise UnsupportedError("its branches have results of different types")
        node = Node(IF, [test], [Value(kind) for kind in types[0]], blocks=blocks)
        outer.nodes.append(node)
        return list(node.outputs)

    def _loop(
        self,
        test: Subgraph,
        body: Subgraph,
        carried: Sequence[Operand],
        others: Sequence[Operand],
    ) -> list[Operand]:
        """Adds a loop that tests in its turns, so that both graphs are converted only once."""
        start = [self.graph_builder.as_value(one) for one in carried]
        inside = [Value(value.type, value.info) for value in start]
        # A `prim::Loop` gives the number of the turn first; while_loop has no such number.
        block = Block(inputs=[Value("int"), *inside])
        outer, self.graph_builder.block = self.graph_builder.block, block
        try:
            # The test runs at the start of a turn, and a branch skips the body when it fails.
            # Upstream's compiler writes the test twice instead: in front of the loop and at the end
            # of its body.
            (result,) = self._inline_values(test, [*inside, *others])
            go_on = self._truth(result)
            turn = Block()
            self.graph_builder.block = turn
            turn.outputs = self._inline_values(body, [*inside, *others])
        except ValueError:
            raise UnsupportedError("its condition has more than one result") from None
        finally:
            self.graph_builder.block = outer
        if [value.type for value in turn.outputs] != [value.type for value in inside]:
            raise UnsupportedError("its body changes the types of its values")
        choice = Node(
            IF,
            [go_on],
            [Value(value.type, value.info) for value in inside],
            blocks=[turn, Block(outputs=list(inside))],
        )
        block.nodes.append(choice)
        block.outputs = [go_on, *choice.outputs]
        # TorchScript itself writes `while` as a loop with this number of turns.
        most = self.graph_builder.constant((1 << 63) - 1, "int")
        always = self.graph_builder.constant(True, "bool")
        loop = Node(
            LOOP,
            [most, always, *start],
            [Value(value.type, value.info) for value in inside],
            blocks=[block],
        )
        outer.nodes.append(loop)
        return list(loop.outputs)

    def _truth(self, operand: Operand) -> Value:
        return self.graph_builder.lower(operand, Kind("bool", optional=False))


def _leaves(operands: Iterable[Operand]) -> Iterator[Operand]:
    for operand in operands:
        if isinstance(operand, list | tuple):
            yield from _leaves(operand)
        else:
            yield operand
