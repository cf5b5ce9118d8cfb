"""Names a tensor that is changed in place by the result of the change from there on."""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import find_call
from builder.graph.passes.pass_result import PassResult


def follow_in_place(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes later uses of a tensor, which an operator changed in place, uses of the result.

    Both are the same tensor. Other passes then see that nothing uses it as it was before.

    A reason to leave it out: none but to look at what another pass left.
    """
    return PassResult(_Names(schemas).follow(graph.block))


class _Names:
    """The latest name of each tensor that operators have changed in place so far."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._tensors: dict[Value, Value] = {}
        """Each name of a tensor -> the first of its names."""
        self._latest: dict[Value, Value] = {}
        """The first name of a tensor -> the one of now."""

    def follow(self, block: Block) -> int:
        """Returns how many uses in `block` became uses of another name."""
        # What a block does to a tensor is not sure to have happened behind the block.
        before: dict[Value, Value] = {}
        changed = 0
        for node in block.nodes:
            changed += self._rename(node.inputs)
            changed += sum(self.follow(inner) for inner in node.blocks)
            if _returns_changed(node, self._schemas):
                tensor = self._tensors.setdefault(node.inputs[0], node.inputs[0])
                before.setdefault(tensor, self._latest.get(tensor, tensor))
                self._tensors[node.output] = tensor
                self._latest[tensor] = node.output
        changed += self._rename(block.outputs)
        self._latest |= before
        return changed

    def _rename(self, values: list[Value]) -> int:
        changed = 0
        for index, value in enumerate(values):
            tensor = self._tensors.get(value)
            if tensor is not None and self._latest[tensor] is not value:
                values[index] = self._latest[tensor]
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
