"""Folds batch norms with fixed statistics into the convolution or linear layer beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import Call, find_call
from builder.graph.passes.pass_result import PassResult, describe
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import Allowance, Array, to_array, to_tensor
from builder.lite.objects import Tensor

_CONVOLUTIONS = {
    "aten::conv1d": False,
    "aten::conv2d": False,
    "aten::conv3d": False,
    "aten::conv_transpose1d": True,
    "aten::conv_transpose2d": True,
    "aten::conv_transpose3d": True,
}
"""Convolutions, and whether they are transposed."""


@dataclass(frozen=True, slots=True)
class Affine:
    """A function of each channel: x * scale + shift, in float64."""

    scale: Array
    shift: Array


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution or linear layer with constant weights."""

    weight: Array
    bias: Array | None
    outputs_first: bool
    """Whether the first dimension of the weight is that of the outputs."""
    groups: int

    def scaled(self, affine: Affine) -> tuple[Array, Array] | None:
        """Returns weight and bias of the layer with `affine` behind it.

        None if it has another number of channels.
        """
        if affine.scale.size != self.outputs():
            return None
        weight = self._spread(affine.scale) * self.weight.astype(np.float64)
        bias = np.zeros(affine.scale.size) if self.bias is None else self.bias.astype(np.float64)
        return weight, bias * affine.scale + affine.shift

    def fed(self, affine: Affine) -> tuple[Array, Array] | None:
        """Returns weight and bias of the layer with `affine` in front of it.

        None if it has another number of channels. The layer must not be transposed, and not pad
        its input.
        """
        weight = self.weight.astype(np.float64)
        outputs, inputs, *kernel = weight.shape
        if affine.scale.size != inputs * self.groups or outputs % self.groups:
            return None
        grouped = (self.groups, outputs // self.groups, inputs, *kernel)
        # Each group has inputs of its own, so the inputs of all groups are the channels of the
        # norm.
        scale = affine.scale.reshape(self.groups, 1, inputs, *(1 for _ in kernel))
        shift = affine.shift.reshape(scale.shape)
        split = weight.reshape(grouped)
        # A pixel that the layer adds by padding does not pass the norm, so this sum would be wrong
        # there.
        added = (split * shift).sum(axis=tuple(range(2, split.ndim))).reshape(outputs)
        bias = added if self.bias is None else self.bias.astype(np.float64) + added
        return (split * scale).reshape(weight.shape), bias

    def outputs(self) -> int:
        """Returns the number of channels or features that it makes."""
        outputs: int = self.weight.shape[0 if self.outputs_first else 1]
        return outputs if self.outputs_first else outputs * self.groups

    def _spread(self, scale: Array) -> Array:
        """Returns `scale` in a shape that multiplies the weight."""
        rest = (1,) * (self.weight.ndim - 2)
        if self.outputs_first:
            return scale.reshape(-1, 1, *rest)
        inputs, outputs = self.weight.shape[:2]
        grouped = scale.reshape(self.groups, 1, outputs)
        spread = np.broadcast_to(grouped, (self.groups, inputs // self.groups, outputs))
        return spread.reshape(inputs, outputs, *rest)


def fold_batch_norms(graph: Graph, schemas: Schemas) -> PassResult:
    """Folds batch norms into the layer in front of them, or else into the one behind them.

    The new weights are computed in float64 and rounded once. Behind a layer, its output may have
    no other use. In front of one, only linear layers and convolutions that do not pad are exact.
    Convolutions are `aten::conv2d` and the like: `simplify_convolutions` comes first.

    A reason to leave it out: outputs differ in the last bits from those of the unfolded model.
    """
    folder = _Folder(graph, schemas)
    behind = folder.rewriter.run(folder.fold_behind)
    # What shares memory and which value has how many uses is different after the first run.
    ahead = _Folder(graph, schemas, folder.reasons)
    changed = behind + ahead.rewriter.run(ahead.fold_ahead)
    return PassResult(changed, describe(folder.reasons))


class _Folder:
    def __init__(self, graph: Graph, schemas: Schemas, reasons: Counter[str] | None = None) -> None:
        self.rewriter = Rewriter(graph)
        self._aliases = Aliases(graph, schemas)
        self._allowance = Allowance(graph)
        self.reasons: Counter[str] = Counter() if reasons is None else reasons
        self._schemas = schemas

    def fold_behind(self, node: Node) -> Sequence[Value] | None:
        """The rule for a batch norm behind a layer."""
        affine = find_affine(node, self._schemas)
        if affine is None:
            return None
        source = node.inputs[0]
        layer = self._layer(source.producer)
        if layer is None or source.producer is None:
            return None
        # Otherwise both the folded and the old layer would run, and the file would have both
        # weights.
        if self.rewriter.uses(source) != 1:
            self.reasons["the output before a batch norm is used elsewhere too"] += 1
            return None
        if self._aliases.is_written_after(source.producer.inputs[0], source.producer):
            self.reasons["the input of a layer changes before its batch norm"] += 1
            return None
        # A batch norm works on dimension 1, which is that of the features only for two dimensions.
        if source.producer.operator == "aten::linear" and not _has_rank(source, 2):
            self.reasons["a batch norm behind a linear layer may be over another dimension"] += 1
            return None
        if not _has_batch(source.producer, source.producer.inputs[0]):
            self.reasons[
                "the input of a layer before a batch norm may have no batch dimension"
            ] += 1
            return None
        if not self._allowance.take(layer.weight.size):
            self.reasons["a weight is used so often that folding would take much memory"] += 1
            return None
        folded = layer.scaled(affine)
        return None if folded is None else [self._emit(source.producer, node, *folded)]

    def fold_ahead(self, node: Node) -> Sequence[Value] | None:
        """The rule for a layer behind a batch norm."""
        norm = node.inputs[0].producer if node.inputs else None
        affine = None if norm is None else find_affine(norm, self._schemas)
        layer = None if affine is None else self._layer(node)
        if layer is None or affine is None or norm is None or not layer.outputs_first:
            return None
        if not _has_batch(node, norm.inputs[0]):
            return None
        if self.rewriter.uses(node.inputs[0]) != 1 or not self._is_unpadded(node, norm):
            return None
        if self._aliases.is_written_after(norm.inputs[0], norm):
            return None
        if not self._allowance.take(layer.weight.size):
            return None
        folded = layer.fed(affine)
        if folded is None:
            return None
        return [self._emit(node, node, *folded, source=norm.inputs[0])]

    def _is_unpadded(self, node: Node, norm: Node) -> bool:
        if node.operator == "aten::linear":
            return _has_rank(norm.inputs[0], 2)
        call = find_call(node, self._schemas)
        padding = None if call is None else call.integers("padding", 1)
        # One number stands for all dimensions, and otherwise there is one for each. A string, such
        # as "same", is neither of both and counts as padding.
        if padding is None and call is not None:
            padding = call.integers("padding")
        return padding is not None and not any(padding)

    def _layer(self, node: Node | None) -> _Layer | None:
        call = None if node is None else find_call(node, self._schemas)
        if call is None or (call.name not in _CONVOLUTIONS and call.name != "aten::linear"):
            return None
        weight = _array(call, "weight")
        rank = 2 + int(call.name[-2]) if call.name in _CONVOLUTIONS else 2
        if weight is None or weight.dtype != np.float32 or weight.ndim != rank:
            return None
        bias = _array(call, "bias")
        if bias is None and call.static("bias") is not None:
            return None
        groups = call.static("groups") if call.name in _CONVOLUTIONS else 1
        if type(groups) is not int or groups < 1 or weight.shape[0] % groups:
            return None
        layer = _Layer(weight, bias, not _CONVOLUTIONS.get(call.name, False), groups)
        return layer if bias is None or bias.shape == (layer.outputs(),) else None

    def _emit(
        self,
        layer: Node,
        node: Node,
        weight: Array,
        bias: Array,
        *,
        source: Value | None = None,
    ) -> Value:
        """Emits `layer` once more, with other weights and perhaps with another input."""
        first = layer.inputs[0] if source is None else source
        new = [
            self.rewriter.constant(to_tensor(array.astype(np.float32))) for array in (weight, bias)
        ]
        return self.rewriter.emit(
            layer.operator, [first, *new, *layer.inputs[3:]], info=node.output.info, like=layer
        )


def find_affine(node: Node, schemas: Schemas) -> Affine | None:
    """Returns what a batch norm with constant statistics computes; None for another node."""
    call = find_call(node, schemas) if node.operator == "aten::batch_norm" else None
    if call is None or call.static("training") is not False:
        return None
    mean, variance = _array(call, "running_mean"), _array(call, "running_var")
    weight, bias = _array(call, "weight"), _array(call, "bias")
    epsilon = call.static("eps")
    if mean is None or mean.ndim != 1 or variance is None or not isinstance(epsilon, float):
        return None
    if weight is None and call.static("weight") is not None:
        return None
    if bias is None and call.static("bias") is not None:
        return None
    if any(part is not None and part.shape != mean.shape for part in (variance, weight, bias)):
        return None
    with np.errstate(all="ignore"):
        scale = 1.0 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale = scale if weight is None else scale * weight
        shift = -mean.astype(np.float64) * scale
        shift = shift if bias is None else shift + bias
    # An infinite scale times a weight of zero is NaN, which the unfolded model need not have.
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return None
    return Affine(scale, shift)


def _array(call: Call, name: str) -> Array | None:
    tensor = call.static(name)
    return to_array(tensor) if isinstance(tensor, Tensor) else None


def _has_batch(layer: Node, image: Value) -> bool:
    """Whether the image of a convolution has a batch, so that a norm is over its channels."""
    name = layer.operator.partition(".")[0]
    return name not in _CONVOLUTIONS or _has_rank(image, int(name[-2]) + 2)


def _has_rank(value: Value, rank: int) -> bool:
    return value.info is not None and value.info.sizes is not None and len(value.info.sizes) == rank
