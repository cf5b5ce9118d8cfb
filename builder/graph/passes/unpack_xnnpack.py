"""Makes plain layers of those that are packed for XNNPACK."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Graph, Node, TensorInfo, Value
from builder.graph.operands import static
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.prepack import CONVOLUTION, LINEAR, TRANSPOSED
from builder.graph.rewriting import Rewriter
from builder.lite.objects import CustomObject, List, Tensor

_LAYERS = {
    "prepacked::conv2d_clamp_run": (CONVOLUTION, "aten::conv2d", (0, 1, 2, 3, 4, 5)),
    # Its state has the dilation in front of the groups, the operator has it behind them.
    "prepacked::conv2d_transpose_clamp_run": (
        TRANSPOSED,
        "aten::conv_transpose2d.input",
        (0, 1, 2, 3, 4, 6, 5),
    ),
    "prepacked::linear_clamp_run": (LINEAR, "aten::linear", (0, 1)),
}
"""Operator -> class of its packed weights, plain operator, items of the state that it takes."""


def unpack_xnnpack(graph: Graph, _: Schemas) -> PassResult:
    """Undoes `prepack` and `fuse_clamps`: a file that was made for XNNPACK has plain layers again.

    Weights are those that it holds, in whatever order they lie in memory. The states must be
    well-formed, which `check_packed` tells.
    """
    rewriter = Rewriter(graph)

    def rule(node: Node) -> Sequence[Value] | None:
        layer = _LAYERS.get(node.operator)
        context = static(node.inputs[1]) if layer is not None else None
        if layer is None or not isinstance(context, CustomObject):
            return None
        class_name, operator, items = layer
        if context.class_name != class_name or not isinstance(context.state, tuple):
            return None
        _note_row(node.inputs[0], context.state)
        given = [rewriter.constant(context.state[item]) for item in items]
        info = node.output.info
        made = rewriter.emit(operator, [node.inputs[0], *given], info=info, like=node)
        low, high = context.state[-2:]
        if low is not None or high is not None:
            limits = [rewriter.constant(low), rewriter.constant(high)]
            made = rewriter.emit("aten::clamp", [made, *limits], info=info, like=node)
        return [made]

    return PassResult(rewriter.run(rule))


def _note_row(image: Value, state: tuple[object, ...]) -> None:
    """Notes that an image has one row, where it was made of a sequence for a convolution.

    `prepack` makes one over two dimensions of one over one, between `unsqueeze` and `squeeze`.
    """
    producer, weight = image.producer, state[0]
    if producer is None or producer.operator != "aten::unsqueeze":
        return
    stride = state[2] if len(state) > 4 else None
    one_row = isinstance(weight, Tensor) and weight.sizes[2:3] == (1,)
    if static(producer.inputs[1]) == 2 and one_row and isinstance(stride, List):
        image.info = TensorInfo("float32", (None, None, 1, None))
