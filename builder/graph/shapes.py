"""Shapes and dtypes of the tensors in a graph, where they are known before the model runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, TensorInfo, Value
from builder.graph.operands import Call, find_call
from builder.graph.rewriting import REFUSED
from builder.graph.shape_questions import Question
from builder.graph.shape_rules import RULES
from builder.lite.objects import Tensor


def infer(graph: Graph, schemas: Schemas, *, batched: bool = True) -> None:
    """Sets `info` of the values of `graph`, from the arguments' infos and the constants.

    With `batched`, the input of a convolution or pooling over n dimensions is taken to have n + 2
    dimensions if its rank is unknown. ATen also takes n + 1 dimensions, without a batch.

    The results of unknown operators are unknown. What was known about a value before is kept: a
    source that knows shapes, such as `torch.export`, sets them. Tensors whose shape the graph
    changes in place have none.
    """
    _Inference(graph, schemas, batched).run()


def lacks_batch(graph: Graph, schemas: Schemas, ranks: Sequence[int | None]) -> bool:
    """Whether an image may have no batch dimension if the arguments of `graph` have these ranks.

    `squeeze` drops a batch of one, so behind it an image may have none whatever the ranks are.

    Args:
        graph: stays as it is.
        schemas: of the operators.
        ranks: of the arguments without `self`; None for one that is no tensor.
    """
    values = [*graph.block.inputs]
    for _, node in graph.block.walk():
        values += [*node.outputs, *(one for block in node.blocks for one in block.inputs)]
    before = [value.info for value in values]
    for value, rank in zip(graph.block.inputs[1:], ranks, strict=False):
        if rank is not None and value.info is None:
            value.info = TensorInfo(None, (None,) * rank)
    inference = _Inference(graph, schemas, batched=False)
    inference.run()
    for value, info in zip(values, before, strict=True):
        value.info = info
    return bool(inference.unbatched)


def merge_infos(first: TensorInfo | None, second: TensorInfo | None) -> TensorInfo | None:
    """Returns what two descriptions of one tensor tell together; the first one wins."""
    if first is None or second is None:
        return first or second
    sizes = first.sizes
    if sizes is None:
        sizes = second.sizes
    elif second.sizes is not None and len(second.sizes) == len(sizes):
        sizes = tuple(b if a is None else a for a, b in zip(sizes, second.sizes, strict=True))
    return TensorInfo(first.dtype or second.dtype, sizes)


def join_infos(first: TensorInfo | None, second: TensorInfo | None) -> TensorInfo | None:
    """Returns what is true of both of two tensors."""
    if first is None or second is None:
        return None
    sizes = None
    ours, theirs = first.sizes, second.sizes
    if ours is not None and theirs is not None and len(ours) == len(theirs):
        pairs = zip(ours, theirs, strict=True)
        sizes = tuple(a if a == b else None for a, b in pairs)
    return TensorInfo(first.dtype if first.dtype == second.dtype else None, sizes)


class _Inference:
    def __init__(self, graph: Graph, schemas: Schemas, batched: bool) -> None:
        self.unbatched: list[Call] = []
        self._block = graph.block
        self._schemas = schemas
        self._batched = batched
        self._aliases = Aliases(graph, schemas)

    def run(self) -> None:
        self._settle(self._block.inputs)
        self._infer_block(self._block)

    def _settle(self, values: Iterable[Value]) -> None:
        """Forgets shapes that the graph changes in place."""
        for value in values:
            if value.info is not None and self._aliases.is_reshaped(value):
                value.info = TensorInfo(value.info.dtype, None)

    def _infer_block(self, block: Block) -> None:
        for node in block.nodes:
            for inner in node.blocks:
                self._settle(inner.inputs)
                self._infer_block(inner)
            for output, info in zip(node.outputs, self._infer_node(node), strict=False):
                output.info = merge_infos(info, output.info)
            self._settle(node.outputs)

    def _infer_node(self, node: Node) -> list[TensorInfo | None]:
        if node.operator == CONSTANT:
            constant = node.attributes["value"]
            if isinstance(constant, Tensor):
                return [TensorInfo(constant.dtype, constant.sizes)]
            return []
        if node.operator == IF:
            first, second = (block.outputs for block in node.blocks)
            return [join_infos(a.info, b.info) for a, b in zip(first, second, strict=True)]
        if node.operator == LOOP:
            yielded = node.blocks[0].outputs[1:]
            given = node.inputs[2:]
            return [join_infos(a.info, b.info) for a, b in zip(given, yielded, strict=True)]
        if node.operator in ("prim::ListUnpack", "prim::TupleUnpack"):
            return _items(node.inputs[0], len(node.outputs))
        if node.operator == "prim::unchecked_cast":
            return [node.inputs[0].info]
        return self._infer_call(node)

    def _infer_call(self, node: Node) -> list[TensorInfo | None]:
        call = find_call(node, self._schemas)
        if call is None or not any("Tensor" in result for result in call.schema.results):
            return []
        base = call.name
        rule = RULES.get(base) or (RULES.get(base[:-1]) if base.endswith("_") else None)
        if rule is None:
            return []
        if base.endswith("_") and not base.endswith("__"):
            # The result is the first argument itself, in its dtype.
            return [node.inputs[0].info]
        try:
            found = rule(Question(call, batched=self._batched, unbatched=self.unbatched))
        except REFUSED:
            return []
        return found if isinstance(found, list) else [found]


def _items(container: Value, number: int) -> list[TensorInfo | None]:
    producer = container.producer
    if producer is None:
        return []
    if producer.operator in ("prim::TupleConstruct", "prim::ListConstruct"):
        return [value.info for value in producer.inputs]
    # A list of tensors has the info that all its items share.
    return [container.info] * number
