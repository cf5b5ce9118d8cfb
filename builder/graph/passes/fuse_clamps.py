"""Lets layers of XNNPACK and Vulkan clamp what they compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import UNKNOWN, Call, find_call, static
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.prepack import RUN
from builder.graph.passes.prepack_vulkan import RUN_CONVOLUTION, RUN_TRANSPOSED
from builder.graph.rewriting import Rewriter
from builder.lite.objects import CustomObject, List


def fuse_clamps(graph: Graph, schemas: Schemas) -> PassResult:
    """Puts relu, relu6, hardtanh and clamp into the packed layer whose output they take.

    The clamp stays if anything else uses the output before it. Operators
    in place need `follow_in_place` before.

    Those of Vulkan are convolutions over two dimensions; linear layers have no limits there.

    A reason to leave it out: nothing is packed.
    """
    fuser = _Fuser(graph, schemas)
    return PassResult(fuser.rewriter.run(fuser.fuse))


class _Fuser:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)

    def fuse(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        call = find_call(node, self._schemas)
        limits = None if call is None else _limits(call)
        if limits is None:
            return None
        source = node.inputs[0]
        # A convolution over one dimension has a view of the result of one over two.
        view = source.producer
        squeezed = view is not None and view.operator == "aten::squeeze.dim"
        layer = view.inputs[0].producer if view is not None and squeezed else view
        if layer is None or not self._is_alone(layer, source):
            return None
        context = static(layer.inputs[1])
        clamped = _clamp(context, limits) if isinstance(context, CustomObject) else None
        if clamped is None:
            return None
        packed = self.rewriter.constant(clamped)
        result = self.rewriter.emit(
            layer.operator, [layer.inputs[0], packed], info=layer.output.info, like=layer
        )
        if view is not None and squeezed:
            result = self.rewriter.emit(view.operator, [result, view.inputs[1]], like=view)
        return [result]

    def _is_alone(self, layer: Node, source: Value) -> bool:
        """Whether only the clamp needs the layer's output, and the layer can run later."""
        return (
            layer.operator in _LAYERS
            and self.rewriter.uses(source) == 1
            and self.rewriter.uses(layer.output) == 1
            and not self._aliases.is_written_after(layer.inputs[0], layer)
        )


_LAYERS = frozenset({*RUN.values(), RUN_CONVOLUTION, RUN_TRANSPOSED})


def _limits(call: Call) -> tuple[float | None, float | None] | None:
    """Returns the smallest and the largest result of a clamp; None for another operator."""
    match call.node.operator.removesuffix("_"):
        case "aten::relu":
            return 0.0, None
        case "aten::relu6":
            return 0.0, 6.0
        case "aten::hardtanh":
            found = call.static("min_val"), call.static("max_val")
        case "aten::clamp":
            found = call.static("min"), call.static("max")
        case "aten::clamp_min":
            found = call.static("min"), None
        case "aten::clamp_max":
            found = None, call.static("max")
        case _:
            return None
    low, high = found
    if not _is_limit(low) or not _is_limit(high) or UNKNOWN in found:
        return None
    return _number(low), _number(high)


def _is_limit(value: object) -> bool:
    if value is None:
        return True
    # NaN is equal to nothing.
    return type(value) in (int, float) and value == value


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _clamp(context: CustomObject, limits: tuple[float | None, float | None]) -> CustomObject | None:
    """Returns packed weights whose outputs are clamped by `limits` too; None if none can be."""
    state = context.state
    parts = state.items if isinstance(state, List) else state
    if not isinstance(parts, tuple | list) or len(parts) < 2:
        return None
    *rest, low, high = parts
    lows = [limit for limit in (low, limits[0]) if isinstance(limit, int | float)]
    highs = [limit for limit in (high, limits[1]) if isinstance(limit, int | float)]
    smallest, largest = max(lows, default=None), min(highs, default=None)
    # They are compared as float32, where large numbers are infinite.
    with np.errstate(over="ignore"):
        low32 = np.float32(-np.inf if smallest is None else smallest)
        high32 = np.float32(np.inf if largest is None else largest)
    if not low32 < high32:
        return None
    clamped = (*rest, smallest, largest)
    kept = List(state.type, list(clamped)) if isinstance(state, List) else clamped
    return CustomObject(context.class_name, kept)
