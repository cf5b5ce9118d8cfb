"""Finds channel shuffles that are written as a reshape, a transposition and a reshape."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import static
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter

_RESHAPES = frozenset({"aten::view", "aten::reshape"})


def find_channel_shuffles(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes `aten::channel_shuffle` of the way in which ShuffleNet writes one.

    The operator keeps NHWC, and XNNPACK computes it in a runtime; the reshapes need NCHW.

    A reason to leave it out: a runtime that has no `aten::channel_shuffle`.
    """
    if schemas.find("aten::channel_shuffle") is None:
        return PassResult(0)
    aliases = Aliases(graph, schemas)
    rewriter = Rewriter(graph)

    def rule(node: Node) -> Sequence[Value] | None:
        match = _match(node)
        # The reshape may be a view of the image, and the operator makes a copy.
        if match is None or aliases.is_written(node.output) or aliases.escapes(node.output):
            return None
        image, groups = match
        return [
            rewriter.emit(
                "aten::channel_shuffle", [image, groups], info=node.output.info, like=node
            )
        ]

    return PassResult(rewriter.run(rule))


def _match(node: Node) -> tuple[Value, Value] | None:
    """Returns the image and the number of groups, if `node` is the last step of a shuffle."""
    if node.operator not in _RESHAPES:
        return None
    last = _shape(node.inputs[1])
    step = node.inputs[0].producer
    # Some models write it between the transposition and the second reshape.
    if step is not None and step.operator == "aten::contiguous":
        step = step.inputs[0].producer
    if step is None or step.operator != "aten::transpose.int" or last is None:
        return None
    # As strings, because an input that is not constant cannot be compared with a number.
    if sorted(map(str, (static(step.inputs[1]), static(step.inputs[2])))) != ["1", "2"]:
        return None
    split = step.inputs[0].producer
    if split is None or split.operator not in _RESHAPES:
        return None
    first, image = _shape(split.inputs[1]), split.inputs[0]
    if first is None or len(first) != 5 or len(last) != 4:
        return None
    # With batch, height and width kept, the sizes of the channels follow from their number.
    kept = ((first[0], 0), (first[3], 2), (first[4], 3), (last[0], 0), (last[2], 2), (last[3], 3))
    groups = static(first[1])
    if not all(_is_size(value, image, dim) for value, dim in kept) or type(groups) is not int:
        return None
    return (image, first[1]) if groups > 0 else None


def _shape(value: Value) -> list[Value] | None:
    producer = value.producer
    if producer is None or producer.operator != "prim::ListConstruct":
        return None
    return producer.inputs


def _is_size(value: Value, image: Value, dim: int) -> bool:
    """Whether `value` is sure to be the size of `image` in a dimension."""
    sizes = None if image.info is None else image.info.sizes
    if value.is_constant:
        return sizes is not None and len(sizes) == 4 and sizes[dim] == value.constant
    producer = value.producer
    if producer is None:
        return False
    if producer.operator == "aten::__getitem__.t":
        source = producer.inputs[0].producer
        if source is None or source.operator != "aten::size" or source.inputs[0] is not image:
            return False
        return static(producer.inputs[1]) in (dim, dim - 4)
    if producer.operator == "prim::ListUnpack":
        source = producer.inputs[0].producer
        if source is None or source.operator != "aten::size" or source.inputs[0] is not image:
            return False
        return len(producer.outputs) == 4 and producer.outputs[dim] is value
    if producer.operator != "aten::size.int" or producer.inputs[0] is not image:
        return False
    return static(producer.inputs[1]) in (dim, dim - 4)
