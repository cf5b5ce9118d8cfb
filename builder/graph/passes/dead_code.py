"""Drops nodes whose outputs nothing uses."""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.graph.effects import is_pure
from builder.graph.graph import IF, LOOP, Block, Graph, Node, Value
from builder.graph.passes.pass_result import PassResult


def drop_dead_code(graph: Graph, schemas: Schemas) -> PassResult:
    """Drops pure nodes that nothing uses, branches without effects, and unused outputs of branches.

    As in torch, an operator that would have failed is no effect. Random operators stay, because
    the following ones would draw other numbers without them.

    A reason to leave it out: none but to look at what another pass left.
    """
    uses = {value: len(users) for value, users in graph.uses().items()}
    return PassResult(_sweep(graph.block, uses, schemas))


def _sweep(block: Block, uses: dict[Value, int], schemas: Schemas) -> int:
    dropped = 0
    kept = []
    for node in reversed(block.nodes):
        if node.operator == IF:
            _drop_outputs(node, uses)
        dropped += sum(_sweep(inner, uses, schemas) for inner in node.blocks)
        if any(uses.get(output) for output in node.outputs) or not _is_dead(node, schemas):
            kept.append(node)
            continue
        dropped += 1
        for value in node.inputs:
            uses[value] -= 1
        for inner in node.blocks:
            for value in inner.outputs:
                uses[value] -= 1
    block.nodes = kept[::-1]
    return dropped


def _is_dead(node: Node, schemas: Schemas) -> bool:
    if not node.blocks:
        return is_pure(node, schemas)
    # What is left in a block after its sweep has effects, or makes what the block yields. A loop
    # may be one that never ends, so it stays unless it has nothing inside and a known end.
    if node.operator == LOOP:
        return not node.blocks[0].nodes and _ends(node)
    return node.operator == IF and all(
        is_pure(inner, schemas) for block in node.blocks for inner in block.nodes
    )


def _ends(loop: Node) -> bool:
    return loop.inputs[0].is_constant


def _drop_outputs(node: Node, uses: dict[Value, int]) -> None:
    """Drops outputs of a branch that nothing uses, with what both blocks yield for them."""
    wanted = [index for index, output in enumerate(node.outputs) if uses.get(output)]
    if len(wanted) == len(node.outputs):
        return
    for block in node.blocks:
        for index, value in enumerate(block.outputs):
            if index not in wanted:
                uses[value] -= 1
        block.outputs = [block.outputs[index] for index in wanted]
    node.outputs = [node.outputs[index] for index in wanted]
