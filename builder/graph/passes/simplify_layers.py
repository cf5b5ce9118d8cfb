"""Writes convolutions and linear layers in one way each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import UNKNOWN, Call, find_call, static
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import to_array, to_tensor
from builder.lite.objects import List, Tensor

_GENERAL = frozenset({"aten::_convolution", "aten::_convolution.deprecated", "aten::convolution"})


def simplify_layers(graph: Graph, schemas: Schemas) -> PassResult:
    """Makes `aten::conv2d` and the like of general convolutions, and `aten::linear` of products.

    Tracing writes `aten::_convolution`. A product with a constant matrix is a linear layer, also
    with a constant that is added to it. Padding that a string names is computed.

    A reason to leave it out: a product as a linear layer may differ in the last bits.
    """
    rewriter = Rewriter(graph)
    simplifier = _Simplifier(graph, rewriter, schemas)
    return PassResult(rewriter.run(simplifier.simplify))


class _Simplifier:
    def __init__(self, graph: Graph, rewriter: Rewriter, schemas: Schemas) -> None:
        self._rewriter = rewriter
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        self._turned: dict[Tensor, Tensor | None] = {}

    def simplify(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        call = find_call(node, self._schemas)
        if call is None:
            return None
        if node.operator in _GENERAL:
            return self._convolution(call)
        match node.operator:
            case (
                "aten::conv1d.padding"
                | "aten::conv2d.padding"
                | "aten::conv3d.padding"
                | "aten::_convolution_mode"
            ):
                return self._named_padding(call)
            case "aten::matmul" | "aten::mm":
                return self._product(call)
            case "aten::addmm":
                return self._product_with_sum(call)
            case "aten::add.Tensor":
                return self._sum(call)
            case _:
                return None

    def _convolution(self, call: Call) -> Sequence[Value] | None:
        weight = call.value("weight")
        sizes = None if weight is None or weight.info is None else weight.info.sizes
        transposed = call.static("transposed")
        if sizes is None or not 3 <= len(sizes) <= 5 or not isinstance(transposed, bool):
            return None
        dims = len(sizes) - 2
        names = ["input", "weight", "bias", "stride", "padding"]
        # The order of the last arguments differs between both operators in native_functions.yaml.
        names += ["output_padding", "groups", "dilation"] if transposed else ["dilation", "groups"]
        values = [call.value(name) for name in names]
        if any(value is None for value in values):
            return None
        operator = f"aten::conv_transpose{dims}d" if transposed else f"aten::conv{dims}d"
        # The overload of transposed convolutions over two dimensions has a name.
        operator += {2: ".input", 3: ".input"}.get(dims, "") if transposed else ""
        given = [value for value in values if value is not None]
        return [self._rewriter.emit(operator, given, info=call.node.output.info, like=call.node)]

    def _named_padding(self, call: Call) -> Sequence[Value] | None:
        name, weight = call.static("padding"), call.tensor("weight")
        if weight is None or not 3 <= len(weight.sizes) <= 5:
            return None
        dims = len(weight.sizes) - 2
        dilation, stride = call.integers("dilation", dims), call.integers("stride", dims)
        inputs, uneven = list(call.node.inputs), [0] * dims
        if name == "valid":
            padding = [0] * dims
        # PyTorch refuses "same" with another stride too.
        elif name == "same" and dilation and stride and all(step == 1 for step in stride):
            totals = [d * (size - 1) for d, size in zip(dilation, weight.sizes[2:], strict=True)]
            # An odd total has one more zero at the end, as in ATen/native/Convolution.cpp
            # (_convolution_same).
            padding, uneven = [t // 2 for t in totals], [t % 2 for t in totals]
        else:
            return None
        if any(uneven):
            inputs[0] = self._pad(inputs[0], uneven, call.node)
        inputs[4] = self._rewriter.constant(List("List[int]", [*padding]))
        operator = f"aten::conv{dims}d"
        return [self._rewriter.emit(operator, inputs, info=call.node.output.info, like=call.node)]

    def _pad(self, source: Value, added: Sequence[int], like: Node) -> Value:
        """Adds zeros at the ends of the last dimensions, where ATen adds them too."""
        # Pairs of what is added in front and behind, the last dimension first.
        pairs = [number for size in reversed(added) for number in (0, size)]
        given = [List("List[int]", [*pairs]), 0]
        inputs = [source, *map(self._rewriter.constant, given)]
        return self._rewriter.emit("aten::constant_pad_nd", inputs, like=like)

    def _product(self, call: Call) -> Sequence[Value] | None:
        source, matrix = call.node.inputs
        weight = self._transposed(static(matrix))
        # A product of two constants is computed by `fold_constants` and needs no layer.
        if weight is None or not _is_float32(source) or static(source) is not UNKNOWN:
            return None
        return [self._linear(call, source, weight, None)]

    def _product_with_sum(self, call: Call) -> Sequence[Value] | None:
        weight = self._transposed(call.static("mat2"))
        bias, source = call.tensor("self"), call.value("mat1")
        if weight is None or bias is None or source is None or not _is_float32(source):
            return None
        if call.static("beta") != 1 or call.static("alpha") != 1:
            return None
        if bias.sizes != weight.sizes[:1] or bias.dtype != "float32":
            return None
        return [self._linear(call, source, weight, bias)]

    def _sum(self, call: Call) -> Sequence[Value] | None:
        """A linear layer without bias, to which a constant is added."""
        # Either operand of the sum may be the layer.
        for layer, constant in (call.node.inputs[:2], call.node.inputs[1::-1]):
            producer, bias = layer.producer, static(constant)
            if producer is None or producer.operator != "aten::linear":
                continue
            weight = static(producer.inputs[1])
            if (
                isinstance(bias, Tensor)
                and isinstance(weight, Tensor)
                and bias.dtype == weight.dtype == "float32"
                and bias.sizes == weight.sizes[:1]
                and (len(producer.inputs) < 3 or static(producer.inputs[2]) is None)
                and call.static("alpha") == 1
                # Another user of the layer wants the result without the bias.
                and self._rewriter.uses(layer) == 1
                and not self._aliases.is_written_after(producer.inputs[0], producer)
            ):
                return [self._linear(call, producer.inputs[0], weight, bias)]
        return None

    def _transposed(self, matrix: object) -> Tensor | None:
        """Returns the weight of a linear layer that multiplies with a constant matrix."""
        if not isinstance(matrix, Tensor):
            return None
        if matrix not in self._turned:
            self._turned[matrix] = _transposed(matrix)
        return self._turned[matrix]

    def _linear(self, call: Call, source: Value, weight: Tensor, bias: Tensor | None) -> Value:
        return self._rewriter.emit(
            "aten::linear",
            [
                source,
                self._rewriter.constant(weight),
                self._rewriter.constant(bias),
            ],
            info=call.node.output.info,
            like=call.node,
        )


def _is_float32(value: Value) -> bool:
    """Whether a tensor has float32 elements, or can have no others beside a float32 matrix."""
    return value.info is None or value.info.dtype in (None, "float32")


def _transposed(matrix: Tensor) -> Tensor | None:
    if matrix.dtype != "float32" or len(matrix.sizes) != 2:
        return None
    # XNNPACK takes no empty weights, so such a product stays as it is.
    if not math.prod(matrix.sizes):
        return None
    array = to_array(matrix)
    return None if array is None else to_tensor(np.transpose(array))
