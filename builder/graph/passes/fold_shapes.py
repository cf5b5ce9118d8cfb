"""Answers what the model asks about shapes and dtypes, where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from builder.core.dtypes import SCALAR_TYPES
from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.guards import find_guards, rank_of_guard
from builder.graph.operands import UNKNOWN, Call, find_call, static
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.lite.objects import List

_KEEPING = (
    "adaptive_avg_pool2d avg_pool2d batch_norm contiguous conv1d conv2d conv3d detach dropout elu"
    " gelu hardsigmoid hardswish hardtanh layer_norm leaky_relu linear max_pool2d relu relu6"
    " sigmoid silu softmax tanh"
)
_RANK_KEEPING = frozenset(f"aten::{name}" for name in _KEEPING.split())
"""Operators whose result has as many dimensions as their first argument."""
CONVOLUTIONS: Final = ("aten::conv", "aten::_conv")
"""How the names of convolutions begin."""
OF_LAYER: Final = "of_layer"
"""Marks a question about the rank of what a convolution made, which is asked of its input."""


def fold_shapes(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces questions about the rank, sizes and dtypes of tensors by the answers.

    The rank of a layer's output is asked of its input, so that nothing else uses the output.

    A reason to leave it out: none but to look at what another pass left.
    """
    folder = _Folder(graph, schemas)
    return PassResult(folder.rewriter.run(folder.fold))


class _Folder:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        guards = find_guards(graph.block).values()
        self._guarding = {rank_of_guard(node) for node, _ in guards}
        """What checks of arguments ask; the answers are known because of these checks."""
        self._firsts: dict[Value, Value] = {}
        """Outputs of layers -> the tensor whose rank they have."""
        self._layers: set[Value] = set()
        """Those of them that are convolutions, or come behind one."""

    def fold(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        match node.operator:
            case "aten::dim" if node in self._guarding:
                return None
            case "aten::dim":
                return self._rank(node)
            case "aten::len.t":
                sizes = self._sizes(node.inputs[0])
                return self._answer(UNKNOWN if sizes is None else len(sizes))
            case "aten::size.int":
                info = node.inputs[0].info
                return self._item(None if info is None else info.sizes, node)
            case "aten::__getitem__.t":
                return self._item(self._sizes(node.inputs[0]), node)
            case "aten::size":
                return self._all_sizes(node)
            case "prim::dtype" | "aten::is_floating_point":
                return self._dtype(node)
            case _:
                return None

    def _rank(self, node: Node) -> Sequence[Value] | None:
        source = node.inputs[0]
        if source.info is not None and source.info.sizes is not None:
            return self._answer(len(source.info.sizes))
        # Scripted batch norms check `input.dim()`. That use of a layer's output would keep the norm
        # from being folded into the layer.
        first = self._first(source)
        if first is source:
            return None
        marks = dict(node.attributes)
        if source in self._layers:
            marks[OF_LAYER] = True
        return [self.rewriter.emit("aten::dim", [first], type="int", attributes=marks, like=node)]

    def _first(self, value: Value) -> Value:
        """Returns the tensor whose rank `value` has."""
        passed: list[Value] = []
        # A chain of layers is walked once, and not again from each of its members.
        while value not in self._firsts and (producer := value.producer) is not None:
            call = find_call(producer, self._schemas)
            if call is None or not self._keeps_rank(call):
                break
            passed.append(value)
            value = producer.inputs[0]
        first = self._firsts.get(value, value)
        self._firsts |= dict.fromkeys(passed, first)
        behind = value in self._layers
        for one in reversed(passed):
            assert one.producer is not None
            behind = behind or one.producer.operator.startswith(CONVOLUTIONS)
            if behind:
                self._layers.add(one)
        return first

    def _keeps_rank(self, call: Call) -> bool:
        if call.name not in _RANK_KEEPING or self._aliases.is_reshaped(call.node.inputs[0]):
            return False
        # A weight that is a vector makes one number of the last dimension.
        return call.name != "aten::linear" or _is_matrix(call.value("weight"))

    def _item(self, sizes: Sequence[int | None] | None, node: Node) -> Sequence[Value] | None:
        index = static(node.inputs[1])
        if sizes is None or type(index) is not int or not -len(sizes) <= index < len(sizes):
            return None
        size = sizes[index]
        return self._answer(UNKNOWN if size is None else size)

    def _all_sizes(self, node: Node) -> Sequence[Value] | None:
        info = node.inputs[0].info
        if info is None or info.sizes is None or None in info.sizes:
            return None
        if self._aliases.is_written(node.output) or self._aliases.escapes(node.output):
            return None
        return [self.rewriter.constant(List("List[int]", [*info.sizes]))]

    def _sizes(self, container: Value) -> Sequence[int | None] | None:
        """Returns what a list of sizes holds, or a part of one, if nothing changes it."""
        producer = container.producer
        if producer is None or self._aliases.is_written(container):
            return None
        # One size of the list may be known although another is not.
        if producer.operator == "aten::size":
            info = producer.inputs[0].info
            return None if info is None else info.sizes
        if producer.operator != "aten::slice.t" or len(producer.inputs) != 4:
            return None
        source = producer.inputs[0].producer
        # A slice of a slice would make the time grow with the length of the chain.
        if source is None or source.operator != "aten::size":
            return None
        sizes = self._sizes(producer.inputs[0])
        bounds = [static(value) for value in producer.inputs[1:]]
        if sizes is None or not all(item is None or type(item) is int for item in bounds):
            return None
        start, end, step = (item if type(item) is int else None for item in bounds)
        # Python raises an error for this step, and the model shall fail when it runs and not here.
        return None if step == 0 else sizes[start:end:step]

    def _dtype(self, node: Node) -> Sequence[Value] | None:
        info = node.inputs[0].info
        if info is None or info.dtype is None:
            return None
        if node.operator == "prim::dtype":
            # The table has the order of c10/core/ScalarType.h, so the position is the code.
            return self._answer(SCALAR_TYPES.index(info.dtype))
        return self._answer("float" in info.dtype)

    def _answer(self, answer: object) -> Sequence[Value] | None:
        if answer is UNKNOWN:
            return None
        return [self.rewriter.constant(answer)]


def _is_matrix(value: Value | None) -> bool:
    info = None if value is None else value.info
    return info is not None and info.sizes is not None and len(info.sizes) == 2
