"""Writes a list that is built by appending as one list of all its items."""

from __future__ import annotations

from typing import TypeAlias

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import find_call
from builder.graph.passes.pass_result import PassResult

_Use: TypeAlias = tuple[Node | Block, int]
_APPEND = "aten::append.t"
_MOST_ITEMS = 100_000
"""Of all lists together: a list that is read after each append is written once for each read."""


def settle_lists(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces a list that only grows, within one block, by a new list wherever it is read.

    Only lists that nothing keeps: they are read by operators that make new tensors, such as
    `aten::cat`.

    A reason to leave it out: none but to look at what another pass left.
    """
    uses = graph.uses()
    settled = 0
    left = _MOST_ITEMS
    blocks = [graph.block]
    while blocks:
        block = blocks.pop()
        here = set(block.nodes)
        growing: set[Value] = set()
        for node in block.nodes:
            blocks.extend(node.blocks)
            if node.operator != "prim::ListConstruct":
                continue
            users = uses.get(node.output, [])
            # Each read may get a list of all items.
            cost = len(users) * (len(node.inputs) + len(users))
            if cost <= left and _grows(users, here, uses, schemas):
                left -= cost
                growing.add(node.output)
        if growing:
            _settle(block, growing)
            settled += len(growing)
    return PassResult(settled)


def _grows(
    users: list[_Use], here: set[Node], uses: dict[Value, list[_Use]], schemas: Schemas
) -> bool:
    """Whether all uses of a list stand in its block, and are appends or reads."""
    appends = 0
    for user, index in users:
        if not isinstance(user, Node) or user not in here:
            return False
        if _is_append(user, index):
            # `append` returns the list itself, which would then have a second name.
            if any(uses.get(output) for output in user.outputs):
                return False
            appends += 1
            continue
        call = find_call(user, schemas)
        if call is None or index >= len(call.schema.arguments):
            return False
        argument = call.schema.arguments[index]
        # A result that shares memory with the list would show later appends.
        if argument.mutable or argument.aliases:
            return False
    return appends > 0


def _is_append(user: Node | Block, index: int) -> bool:
    return isinstance(user, Node) and user.operator == _APPEND and index == 0


def _settle(block: Block, growing: set[Value]) -> None:
    held: dict[Value, list[Value]] = {}
    nodes: list[Node] = []
    for node in block.nodes:
        if node.outputs and node.outputs[0] in growing:
            # From here on the list exists only in this pass.
            held[node.output] = list(node.inputs)
            continue
        if node.operator == _APPEND and node.inputs[0] in held:
            held[node.inputs[0]].append(node.inputs[1])
            continue
        for index, value in enumerate(node.inputs):
            if value in held:
                nodes.append(_list(held[value], value))
                node.inputs[index] = nodes[-1].output
        nodes.append(node)
    block.nodes = nodes


def _list(items: list[Value], like: Value) -> Node:
    attributes = {} if like.producer is None else dict(like.producer.attributes)
    made = Value(type=like.type, info=like.info)
    return Node("prim::ListConstruct", list(items), [made], attributes)
