"""Puts the graphs of methods and functions where they are called."""

from __future__ import annotations

from collections import Counter

from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.passes.freeze import find_objects
from builder.graph.passes.outcome import PassResult, describe
from builder.graph.program import Program
from builder.graph.rewriting import Rewriter
from builder.lite.objects import ScriptObject

_LARGEST = 100_000
"""Nodes of a graph, from which on nothing more is put into it."""
_DEEPEST = 32
"""Calls inside of calls."""


def inline(program: Program) -> PassResult:
    """Replaces calls of known methods and functions by the nodes of their graphs.

    A reason to leave it out: a function that is called often is stored once for each call.
    """
    reasons: Counter[str] = Counter()
    changed = 0
    for graph in program.graphs.values():
        for _ in range(_DEEPEST):
            times = _inline_once(graph, program, reasons)
            changed += times
            if not times:
                break
    return PassResult(changed, describe(reasons))


def copy_block(block: Block, copies: dict[Value, Value]) -> Block:
    """Returns a copy of `block`; `copies` has what stands for the values from outside of it."""
    inputs = [_copy_value(value, copies) for value in block.inputs]
    nodes = []
    for node in block.nodes:
        given = [copies.get(value, value) for value in node.inputs]
        blocks = [copy_block(inner, copies) for inner in node.blocks]
        made = [_copy_value(value, copies) for value in node.outputs]
        nodes.append(
            Node(
                node.operator,
                given,
                made,
                dict(node.attributes),
                blocks,
                debug_handle=node.debug_handle,
            )
        )
    return Block(inputs, nodes, [copies.get(value, value) for value in block.outputs])


def _copy_value(value: Value, copies: dict[Value, Value]) -> Value:
    copies[value] = Value(type=value.type, info=value.info, name=value.name)
    return copies[value]


def _inline_once(graph: Graph, program: Program, reasons: Counter[str]) -> int:
    if not any(node.operator.startswith("prim::Call") for _, node in graph.block.walk()):
        return 0
    objects = find_objects(graph, program.root)
    size = sum(1 for _ in graph.block.walk())
    rewriter = Rewriter(graph)

    def rule(node: Node) -> list[Value] | None:
        nonlocal size
        name = _callee(node, objects)
        callee = None if name is None else program.graphs.get(name)
        if callee is None or callee is graph or len(callee.block.inputs) != len(node.inputs):
            if node.operator.startswith("prim::Call"):
                reasons["a call whose function is not in the file, or calls itself"] += 1
            return None
        size += sum(1 for _ in callee.block.walk())
        if size > _LARGEST:
            reasons["a call in a graph that is very large already"] += 1
            return None
        # The arguments take the place of the inputs.
        given = dict(zip(callee.block.inputs, node.inputs, strict=True))
        copied = copy_block(Block([], callee.block.nodes, callee.block.outputs), given)
        rewriter.splice(copied.nodes)
        return copied.outputs

    return rewriter.run(rule)


def _callee(node: Node, objects: dict[Value, ScriptObject]) -> str | None:
    name = node.attributes.get("name")
    if not isinstance(name, str):
        return None
    if node.operator == "prim::CallFunction":
        return name
    if node.operator == "prim::CallMethod":
        owner = objects.get(node.inputs[0])
        return None if owner is None else f"{owner.class_name}.{name}"
    return None
