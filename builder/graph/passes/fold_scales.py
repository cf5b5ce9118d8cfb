"""Folds a factor that is a power of two into the linear layer that it scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import Call, find_call, static
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import Allowance, Array, to_array, to_tensor
from builder.lite.objects import Tensor

_LARGEST: Final = 16
"""Of the exponent: no usual weight becomes infinite, or too small for all its bits."""
_VIEWS: Final = frozenset(
    f"aten::{name}"
    for name in (
        *("contiguous", "flatten", "permute", "reshape", "squeeze", "t", "transpose"),
        *("unflatten", "unsqueeze", "view"),
    )
)
"""Operators that keep all elements and their values."""
_SIZES: Final = frozenset({"aten::dim", "aten::numel", "aten::size", "aten::size.int"})
"""Operators that do not read elements."""
_PRODUCTS: Final = frozenset({"aten::bmm", "aten::matmul"})
_MOST_STEPS: Final = 20


def fold_scales(graph: Graph, schemas: Schemas) -> PassResult:
    """Scales the weights of a linear layer where its result, or a product with it, is scaled.

    Attention divides each product of queries and keys by the root of their size, which is mostly a
    power of two: then the bits of all results stay the same. Nothing else may use what is between
    the layer and the factor.
    """
    folder = _Folder(graph, schemas)
    changed = folder.factors.run(folder.drop_factor)
    if changed:
        folder.layers.run(folder.scale)
    return PassResult(changed)


class _Folder:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.factors, self.layers = Rewriter(graph), Rewriter(graph)
        self._readers = {
            value: sum(1 for user, _ in users if not _asks_for_sizes(user))
            for value, users in graph.uses().items()
        }
        """Value -> how many nodes and outputs of blocks read its elements."""
        self._schemas = schemas
        self._allowance = Allowance(graph)
        self._found: dict[Node, float] = {}
        """Layer -> what it is scaled by."""

    def drop_factor(self, node: Node) -> Sequence[Value] | None:
        """The rule for a factor."""
        call = find_call(node, self._schemas)
        found = None if call is None else _find_factor(call)
        if found is None:
            return None
        scaled, factor = found
        layer = self._find_layer(scaled)
        if layer is None:
            return None
        self._found[layer] = factor * self._found.get(layer, 1.0)
        self._readers[scaled] = self._readers.get(node.output, 0)
        return [scaled]

    def scale(self, node: Node) -> Sequence[Value] | None:
        """The rule for a layer: emits it once more, with other weights."""
        factor = self._found.get(node)
        call = None if factor is None else find_call(node, self._schemas)
        arrays = None if call is None else _find_weights(call)
        if factor is None or arrays is None:
            return None
        made = [
            self.layers.constant(None if one is None else to_tensor(one * np.float32(factor)))
            for one in arrays
        ]
        inputs = [node.inputs[0], *made]
        return [self.layers.emit("aten::linear", inputs, info=node.output.info, like=node)]

    def _find_layer(self, value: Value) -> Node | None:
        """Returns the linear layer whose result, or a product with it, `value` is."""
        waiting = [(value, True)]
        for _ in range(_MOST_STEPS):
            if not waiting:
                return None
            value, may_multiply = waiting.pop()
            node = value.producer
            call = None if node is None else find_call(node, self._schemas)
            # Whoever else uses it would see other values.
            if node is None or call is None or self._readers.get(value) != 1:
                continue
            if call.name == "aten::linear" and self._may_scale(call):
                return node
            if call.name in _VIEWS:
                waiting.append((node.inputs[0], may_multiply))
            elif call.name in _PRODUCTS and may_multiply:
                # The first argument is looked at first.
                waiting += [(one, False) for one in node.inputs[1::-1]]
        return None

    def _may_scale(self, layer: Call) -> bool:
        if layer.node in self._found:
            return True
        arrays = _find_weights(layer)
        return arrays is not None and self._allowance.take(
            sum(one.size for one in arrays if one is not None)
        )


def _find_factor(call: Call) -> tuple[Value, float] | None:
    """Returns what a node multiplies by a power of two, and that power."""
    if call.name not in ("aten::div", "aten::mul") or "rounding_mode" in call.schema.positions:
        return None
    left, right = call.node.inputs[:2]
    if call.name == "aten::mul" and left.is_constant:
        left, right = right, left
    factor, info = _read_number(static(right)), left.info
    mantissa, exponent = math.frexp(abs(factor))
    if mantissa != 0.5 or abs(exponent) > _LARGEST:
        return None
    # A factor that is a tensor decides the dtype of what has no dimensions.
    if (
        info is None
        or info.dtype != "float32"
        or (isinstance(static(right), Tensor) and not info.sizes)
    ):
        return None
    return left, factor if call.name == "aten::mul" else 1 / factor


def _asks_for_sizes(user: object) -> bool:
    return isinstance(user, Node) and user.operator in _SIZES


def _read_number(constant: object) -> float:
    """Returns a number, or that of a tensor without dimensions; 0 for anything else."""
    if isinstance(constant, Tensor) and not constant.sizes:
        array = to_array(constant)
        constant = None if array is None else array.item()
    if isinstance(constant, bool) or not isinstance(constant, int | float):
        return 0.0
    return float(constant)


def _find_weights(layer: Call) -> tuple[Array, Array | None] | None:
    """Returns weight and bias of a layer; None unless both are constants of float32."""
    weight, bias = _read_array(layer.static("weight")), _read_array(layer.static("bias"))
    if weight is None or (bias is None and layer.static("bias") is not None):
        return None
    return weight, bias


def _read_array(constant: object) -> Array | None:
    if not isinstance(constant, Tensor) or constant.dtype != "float32":
        return None
    return to_array(constant)
