"""Lets nothing depend on how the packed layers of XNNPACK store their results."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, Value
from builder.graph.operands import CONSTRUCTS, find_call, static
from builder.graph.passes.layout_table import MAYBE_COPYING, OF_STRIDES
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.prepack import CONVOLUTION, RUN, TRANSPOSED
from builder.graph.rewriting import Rewriter

_ROW_MAJOR = 0
"""Code of the format (c10/core/MemoryFormat.h)."""
_RESHAPING = {"aten::view": "aten::reshape", "aten::view_as": "aten::reshape_as"}


def settle_strides(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes a model take images stored as NHWC where it did before its layers were packed.

    XNNPACK's convolutions store their result like their input. ATen's transposed convolutions, and
    those over one dimension, give row-major results for any input, and some other kernels too. So
    views of such results become `reshape`. Where the model changes something in place that may be
    a view of them, or asks for strides, the results of such layers are made row-major instead.

    A reason to leave it out: an app whose inputs are row-major.
    """
    nodes = [node for _, node in graph.block.walk()]
    layers = {node for node in nodes if node.operator in (RUN[CONVOLUTION], RUN[TRANSPOSED])}
    if not layers:
        return PassResult(0)
    if not _sees_strides(graph, nodes, schemas):
        return PassResult(_reshape(graph.block, layers))
    uses = graph.uses()
    rows = {node for node in layers if node.operator == RUN[TRANSPOSED] or _is_over_one(node, uses)}
    return PassResult(_make_rows(graph, rows))


def _sees_strides(graph: Graph, nodes: list[Node], schemas: Schemas) -> bool:
    """Whether it matters which of the model's tensors are views of others, or their strides."""
    aliases = Aliases(graph, schemas)
    for node in nodes:
        name = node.operator.partition(".")[0]
        if name in OF_STRIDES:
            return True
        if name in MAYBE_COPYING or name in _RESHAPING:
            if any(aliases.is_told_apart(value, node) for value in node.outputs):
                return True
        elif node.operator not in CONSTRUCTS and find_call(node, schemas) is None:
            return True
    return False


def _reshape(root: Block, layers: set[Node]) -> int:
    """Replaces views of all that is computed from the results of `layers`."""
    reached: set[Value] = set()
    changed = 0
    # What a loop carries comes to its beginning again, so a second walk finds the rest.
    for _ in range(2):
        changed += _follow(root, layers, reached)
    return changed


def _follow(block: Block, layers: set[Node], reached: set[Value]) -> int:
    changed = 0
    for node in block.nodes:
        if node.operator == CONSTANT:
            continue
        touched = node in layers or not reached.isdisjoint(node.inputs)
        if touched and node.operator in _RESHAPING and not node.blocks:
            node.operator = _RESHAPING[node.operator]
            changed += 1
        for inner in node.blocks:
            if node.operator == LOOP and touched:
                reached.update(inner.inputs)
            changed += _follow(inner, layers, reached)
            touched = touched or not reached.isdisjoint(inner.outputs)
            if node.operator == LOOP and touched:
                reached.update(inner.inputs)
        if touched or (node.operator == IF and any(value in reached for value in node.outputs)):
            reached.update(node.outputs)
            # A list is reached by what is put into it.
            reached.update(
                value for value in node.inputs if value.type.startswith(("List", "Dict"))
            )
    return changed


def _is_over_one(layer: Node, uses: dict[Value, list[tuple[Node | Block, int]]]) -> bool:
    """Whether a packed layer stands for a convolution over one dimension."""
    source = layer.inputs[0].producer
    if source is None or source.operator != "aten::unsqueeze" or static(source.inputs[1]) != 2:
        return False
    users = [user for user, _ in uses.get(layer.outputs[0], ())]
    return all(isinstance(user, Node) and user.operator == "aten::squeeze.dim" for user in users)


def _make_rows(graph: Graph, layers: set[Node]) -> int:
    rewriter = Rewriter(graph)

    def rule(node: Node) -> Sequence[Value] | None:
        if node not in layers:
            return None
        info = node.output.info
        made = rewriter.emit(node.operator, node.inputs, info=info, like=node)
        rows = [made, rewriter.constant(_ROW_MAJOR)]
        return [rewriter.emit("aten::contiguous", rows, info=info, like=node)]

    return rewriter.run(rule)
