"""Names a tensor that is changed in place by the result of the change from there on."""

from __future__ import annotations

from builder.core.schemas import Schemas
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import find_call
from builder.graph.passes.outcome import PassResult


def follow_in_place(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes later uses of a tensor, which an operator changed in place, uses of the result.

    Both are the same tensor. Other passes then see that nothing uses it as it was before.

    A reason to leave it out: none but to look at what another pass left.
    """
    return PassResult(_follow(graph.block, {}, schemas))


def _follow(block: Block, outer: dict[Value, Value], schemas: Schemas) -> int:
    # What a block does to a tensor is not sure to have happened behind the block.
    latest = dict(outer)
    changed = 0
    for node in block.nodes:
        for index, value in enumerate(node.inputs):
            if value in latest:
                node.inputs[index] = latest[value]
                changed += 1
        for inner in node.blocks:
            changed += _follow(inner, latest, schemas)
        if _returns_changed(node, schemas):
            source = node.inputs[0]
            for value, name in latest.items():
                if name is source:
                    latest[value] = node.output
            latest[source] = node.output
    for index, value in enumerate(block.outputs):
        if value in latest:
            block.outputs[index] = latest[value]
            changed += 1
    return changed


def _returns_changed(node: Node, schemas: Schemas) -> bool:
    call = find_call(node, schemas)
    return (
        call is not None
        and call.name.endswith("_")
        and not call.name.endswith("__")
        and len(node.outputs) == 1
        and bool(node.inputs)
        and call.schema.arguments[0].mutable
        and call.schema.arguments[0].type == "Tensor"
        and call.schema.results == ("Tensor",)
    )
