"""Checks at the beginning of a method that refuse arguments of another number of dimensions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from builder.graph.graph import CONSTANT, IF, Block, Graph, Node, Value
from builder.graph.operands import PURE_CONSTRUCTS, static

RAISE: Final = "prim::RaiseException"
_DIFFERENT = "aten::ne.int"
_RANK = "aten::dim"
_COMPARING: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "aten::eq.int": operator.eq,
    "aten::ne.int": operator.ne,
    "aten::lt.int": operator.lt,
    "aten::le.int": operator.le,
    "aten::gt.int": operator.gt,
    "aten::ge.int": operator.ge,
}
_BEFORE: Final = PURE_CONSTRUCTS | {_RANK, *_COMPARING}
"""What may stand in front of a check."""
_MOST_NESTED = 4
"""Branches that make one condition."""
_MESSAGE = "this file takes {name} with {rank} dimensions, of which the first is the batch"


def add_guard(graph: Graph, value: Value, rank: int) -> None:
    """Lets the method raise an error if an argument has not `rank` dimensions."""
    message = _MESSAGE.format(name=value.name or "a tensor", rank=rank)
    number, wanted, differs = Value("int"), _constant(rank, "int"), Value("bool")
    text, nothing = _constant(message, "str"), _constant(None, "NoneType")
    inner = Block([], [text, nothing, Node(RAISE, [text.output, nothing.output])])
    graph.block.nodes[:0] = [
        Node(_RANK, [value], [number]),
        wanted,
        Node(_DIFFERENT, [number, wanted.output], [differs]),
        Node(IF, [differs], [], {}, [inner, Block()]),
    ]


def _constant(value: object, kind: str) -> Node:
    return Node(CONSTANT, [], [Value(kind)], {"value": value})


def find_guards(block: Block) -> dict[Value, tuple[Node, int]]:
    """Returns the arguments that a method checks, each with the first check and the rank it wants.

    Only checks count that nothing is done before: a call that fails later may have changed an
    attribute, and what it wrote must not depend on the check.
    """
    arguments = set(block.inputs[1:])
    found: dict[Value, tuple[Node, int]] = {}
    for node in block.nodes:
        checked = _read_guard(node)
        if checked is not None:
            if checked[0] in arguments:
                found.setdefault(checked[0], (node, checked[1]))
        elif node.operator not in _BEFORE:
            break
    return found


def rank_of_guard(node: Node) -> Node | None:
    """Returns the node that asks for the rank which a check compares."""
    condition = node.inputs[0].producer
    return None if condition is None else condition.inputs[0].producer


def _read_guard(node: Node) -> tuple[Value, int] | None:
    if node.operator != IF or node.outputs or node.blocks[1].nodes:
        return None
    if not any(inner.operator == RAISE for inner in node.blocks[0].nodes):
        return None
    condition = node.inputs[0].producer
    if condition is None or condition.operator != _DIFFERENT:
        return None
    number, rank = condition.inputs[0].producer, static(condition.inputs[1])
    if number is None or number.operator != _RANK or type(rank) is not int or rank < 0:
        return None
    return number.inputs[0], rank


def decide(condition: Value, depth: int = _MOST_NESTED) -> bool | None:
    """Returns whether a condition holds that is about ranks which are known; None if it is not."""
    known, node = static(condition), condition.producer
    if isinstance(known, bool) or node is None:
        return known if isinstance(known, bool) else None
    if node.operator == IF and depth:
        # `and` and `or` are branches.
        taken = decide(node.inputs[0], depth - 1)
        if taken is None:
            return None
        place = node.outputs.index(condition)
        return decide(node.blocks[0 if taken else 1].outputs[place], depth - 1)
    if node.operator not in _COMPARING:
        return None
    first, second = map(_number, node.inputs)
    return None if first is None or second is None else _COMPARING[node.operator](first, second)


def _number(value: Value) -> int | None:
    known, node = static(value), value.producer
    if type(known) is int:
        return known
    if node is None or node.operator != _RANK or node.inputs[0].info is None:
        return None
    sizes = node.inputs[0].info.sizes
    return None if sizes is None else len(sizes)
