"""Shapes and dtypes of the tensors in a graph, where they are known before the model runs."""

from __future__ import annotations

from collections.abc import Iterable

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, TensorInfo, Value
from builder.graph.guards import decide, find_guards
from builder.graph.operands import find_call, static
from builder.graph.rewriting import REFUSED
from builder.graph.shape_containers import Containers
from builder.graph.shape_questions import Question, content, join_infos, ranked
from builder.graph.shape_rules import RULES
from builder.graph.types import info_of

_TAKING_ONE = frozenset(
    {
        "aten::__getitem__.Dict_str",
        "aten::__getitem__.t",
        "aten::pop.Dict_str",
        "aten::pop.t",
        "prim::DictIndex",
        "prim::TupleIndex",
    }
)
"""Nodes that give one item of a container."""
_MOST_LOOPS = 3
"""Loops inside of each other whose turns are looked at more than once."""
_MOST_GUESSES = 2
"""How often it is guessed anew which values keep their rank from turn to turn."""


def infer(graph: Graph, schemas: Schemas) -> None:
    """Sets `info` of the values of `graph`, from the arguments' infos and the constants.

    The results of unknown operators are unknown. What was known about a value before is kept: a
    source that knows shapes, such as `torch.export`, sets them. Tensors whose shape the graph
    changes in place have none. A check at the beginning of the graph (`builder.graph.guards`) tells
    how many dimensions an argument has.
    """
    Inference(graph, schemas).run()


def merge_infos(first: TensorInfo | None, second: TensorInfo | None) -> TensorInfo | None:
    """Returns what two descriptions of one tensor tell together; the first one wins."""
    if first is None or second is None:
        return first or second
    sizes = first.sizes
    if sizes is None:
        sizes = second.sizes
    elif second.sizes is not None and len(second.sizes) == len(sizes):
        sizes = tuple(b if a is None else a for a, b in zip(sizes, second.sizes, strict=True))
    return TensorInfo(first.dtype or second.dtype, sizes)


class Inference:
    """Finds out what is known about the tensors of one graph."""

    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self._block = graph.block
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        self._containers = Containers(graph, schemas)
        self._loops = 0
        """Loops around the node that is looked at."""

    def run(self) -> None:
        """Sets the infos of all values."""
        for value, (_, rank) in find_guards(self._block).items():
            value.info = merge_infos(value.info, ranked(rank))
        self._settle(self._block.inputs)
        self._infer_block(self._block)

    def _settle(self, values: Iterable[Value]) -> None:
        """Forgets shapes that the graph changes in place."""
        for value in values:
            if value.info is not None and self._aliases.is_reshaped(value):
                value.info = TensorInfo(value.info.dtype, None)

    def _infer_block(self, block: Block) -> None:
        for node in block.nodes:
            if node.operator == LOOP and self._loops < _MOST_LOOPS:
                self._infer_turns(node)
            else:
                self._infer_inside(node)
            for output, info in zip(node.outputs, self._infer_node(node), strict=False):
                output.info = merge_infos(info, output.info)
            self._settle(node.outputs)

    def _infer_inside(self, node: Node) -> None:
        for inner in node.blocks:
            self._settle(inner.inputs)
            self._infer_block(inner)

    def _infer_turns(self, loop: Node) -> None:
        """Takes what a loop carries to keep its rank, as long as no turn shows another one."""
        (body,) = loop.blocks
        guesses = {
            turn: ranked(len(first.info.sizes))
            for first, turn in zip(loop.inputs[2:], body.inputs[1:], strict=True)
            if first.info is not None and first.info.sizes is not None
        }
        self._loops += 1
        for attempt in range(_MOST_GUESSES + 1):
            if attempt == _MOST_GUESSES:
                guesses.clear()
            before = save_infos(loop)
            for turn, guess in guesses.items():
                turn.info = merge_infos(turn.info, guess)
            self._infer_inside(loop)
            wrong = [
                turn
                for turn, last in zip(body.inputs[1:], body.outputs[1:], strict=True)
                if turn in guesses and not _has_rank_of(last, guesses[turn])
            ]
            if not wrong:
                break
            restore_infos(before)
            for turn in wrong:
                del guesses[turn]
        self._loops -= 1

    def _infer_node(self, node: Node) -> list[TensorInfo | None]:
        operator = node.operator
        if operator == CONSTANT:
            constant = node.attributes["value"]
            return [info_of(constant)]
        if operator == IF:
            return self._infer_branches(node)
        if operator == LOOP:
            yielded = node.blocks[0].outputs[1:]
            given = node.inputs[2:]
            return [join_infos(a.info, b.info) for a, b in zip(given, yielded, strict=True)]
        if operator in ("prim::ListUnpack", "prim::TupleUnpack"):
            return self._unpack(node)
        if operator in _TAKING_ONE:
            return self._index(node)
        if operator == "prim::unchecked_cast":
            return [node.inputs[0].info]
        return self._infer_call(node)

    def _infer_branches(self, node: Node) -> list[TensorInfo | None]:
        first, second = (block.outputs for block in node.blocks)
        taken = decide(node.inputs[0])
        if taken is not None:
            return [value.info for value in (first if taken else second)]
        return [join_infos(a.info, b.info) for a, b in zip(first, second, strict=True)]

    def _unpack(self, node: Node) -> list[TensorInfo | None]:
        container, number = node.inputs[0], len(node.outputs)
        items = self._containers.items(container)
        if items is not None:
            return [value.info for value in items] if len(items) == number else []
        return [content(container, self._containers)] * number

    def _index(self, node: Node) -> list[TensorInfo | None]:
        """One item of a container: which one it is may be known, and otherwise what all share."""
        items, place = self._containers.items(node.inputs[0]), static(node.inputs[1])
        if items is None or type(place) is not int:
            return [content(node.inputs[0], self._containers)]
        return [items[place].info] if -len(items) <= place < len(items) else []

    def _infer_call(self, node: Node) -> list[TensorInfo | None]:
        call = find_call(node, self._schemas)
        if call is None or not any("Tensor" in result for result in call.schema.results):
            return []
        base = call.name
        if base.endswith("_") and not base.endswith("__"):
            # The result is the first argument itself, in its dtype.
            first = call.schema.arguments[:1]
            changes = bool(first) and first[0].mutable and call.schema.results == ("Tensor",)
            return [node.inputs[0].info] if changes else []
        rule = RULES.get(base)
        if rule is None:
            return []
        try:
            found = rule(Question(call, self._containers))
        except REFUSED:
            return []
        return found if isinstance(found, list) else [found]


def _has_rank_of(value: Value, guess: TensorInfo) -> bool:
    sizes = None if value.info is None else value.info.sizes
    return sizes is not None and guess.sizes is not None and len(sizes) == len(guess.sizes)


def save_infos(owner: Graph | Node) -> list[tuple[Value, TensorInfo | None]]:
    """Returns the infos of all values in a graph, or in the blocks of a node."""
    blocks = [owner.block] if isinstance(owner, Graph) else owner.blocks
    values: list[Value] = []
    for block in blocks:
        values += block.inputs
        for _, node in block.walk():
            values += [*node.outputs, *(one for inner in node.blocks for one in inner.inputs)]
    return [(value, value.info) for value in values]


def restore_infos(saved: Iterable[tuple[Value, TensorInfo | None]]) -> None:
    """Gives values the infos that they had."""
    for value, info in saved:
        value.info = info
