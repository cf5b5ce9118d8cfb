"""Lets ATen clamp a sum at zero while it adds."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import makes_new_memory
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import find_call
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter

_FUSED = {
    "aten::add.Tensor": "aten::_add_relu.Tensor",
    "aten::add_.Tensor": "aten::_add_relu_.Tensor",
}
_CLAMPS = frozenset({"aten::relu", "aten::relu_"})


def fuse_add_relu(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes `aten::_add_relu` of a sum of float32 tensors and the relu behind it, as upstream does.

    Residual blocks end so. Memory is crossed once and not twice.

    A reason to leave it out: an infinite sum becomes the largest number of float32
    (`add_relu_impl` in ATen/native/BinaryOps.cpp).
    """
    if any(schemas.find(name) is None for name in _FUSED.values()):
        return PassResult(0)
    rewriter = Rewriter(graph)

    def rule(node: Node) -> Sequence[Value] | None:
        added = node.inputs[0].producer if node.operator in _CLAMPS else None
        if added is None or added.operator not in _FUSED or not _is_float32(added):
            return None
        # Another user wants the sum before it is clamped.
        if rewriter.uses(added.output) != 1:
            return None
        if added.operator == "aten::add_.Tensor" and not _is_alone(added.inputs[0], added):
            return None
        # The sum stays in its place in the graph, and only the clamp disappears.
        added.operator = _FUSED[added.operator]
        return [added.output]

    def _is_alone(target: Value, added: Node) -> bool:
        """Whether nothing else can see the memory that a sum is written into."""
        call = None if target.producer is None else find_call(target.producer, schemas)
        if call is None or not makes_new_memory(call) or rewriter.uses(target) != 1:
            return False
        # In a loop, a sum of what was made in front of the loop is added to again.
        return rewriter.home(call.node) is rewriter.home(added)

    return PassResult(rewriter.run(rule))


def _is_float32(node: Node) -> bool:
    # Upstream's kernel asserts that it knows the dtype, and two different dtypes would be promoted.
    infos = [value.info for value in node.inputs[:2]]
    return all(info is not None and info.dtype == "float32" for info in infos)
