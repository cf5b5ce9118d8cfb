"""Gives layers with constant weights to Vulkan."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Graph, Node, TensorInfo, Value
from builder.graph.operands import Call, find_call
from builder.graph.passes.batch_norm import Affine, find_affine
from builder.graph.passes.contexts import Contexts, make_ints
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import Allowance, to_array, to_tensor
from builder.lite.objects import CustomObject, List, Tensor

CONVOLUTION = "vulkan.Conv2dPackedContext"
CONVOLUTION_1D = "vulkan.Conv1dPackedContext"
LINEAR = "vulkan.LinearPackedContext"
LAYER_NORM = "vulkan.LayernormPackedContext"
BATCH_NORM = "vulkan.BatchNormPackedContext"
LSTM = "vulkan.LstmPackedContext"
GRU = "vulkan.GruPackedContext"

RUN_CONVOLUTION = "vulkan_prepack::run_conv2d_context"
RUN_TRANSPOSED = "vulkan_prepack::run_tconv2d_context"
RUN_CONVOLUTION_1D = "vulkan_prepack::run_conv1d_context"
RUN_LINEAR = "vulkan_prepack::run_linear_context"
RUN_LAYER_NORM = "vulkan_prepack::run_layernorm_context"
RUN_BATCH_NORM = "vulkan_prepack::run_batchnorm_context"
RUN_LSTM = "vulkan_prepack::run_lstm_context"
RUN_GRU = "vulkan_prepack::run_gru_context"

MOST_GROUPS = 8
"""Groups of a convolution that become as many convolutions; each is a dispatch of its own."""
_LARGEST = 2**31 - 1
"""Of strides, paddings, dilations and groups, which the shaders take as 32-bit integers."""
_TEXEL = 4
"""Channels that one texel holds; batch norm takes whole ones only."""


def prepack_vulkan(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces layers by those of Vulkan, whose weights are packed when the model is loaded.

    The states of the packed weights are the lists that upstream's `pack` takes
    (ATen/native/vulkan/ops/{Convolution,Mm,Layernorm,Batchnorm,Lstm,Gru}.cpp). Its shaders ignore
    groups, except where each channel is a group: a convolution of a few groups becomes one
    convolution for each group. LSTM and GRU have no recurrence, so only those of one step are
    packed. Layers that fit no context stay as they are.
    """
    packer = _Packer(graph, schemas)
    return PassResult(packer.rewriter.run(packer.pack))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A convolution with constant weights and numbers."""

    call: Call
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    added: tuple[int, ...] = (0,)
    """Output padding, of a transposed convolution."""
    groups: int

    @property
    def is_depthwise(self) -> bool:
        """Whether upstream chooses the shader for it (`is_depthwise` in Convolution.cpp)."""
        return self.weight.sizes[:2] == (self.groups, 1)

    def group(self, index: int) -> _Layer:
        """Returns the convolution of one group."""
        outputs = self.weight.sizes[0] // self.groups
        span = slice(index * outputs, (index + 1) * outputs)
        weight = _rows(self.weight, span)
        bias = None if self.bias is None else _rows(self.bias, span)
        return replace(self, weight=weight, bias=bias, groups=1)


class _Packer:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self._schemas = schemas
        self._contexts = Contexts(self.rewriter)
        self._filled: dict[Hashable, Tensor] = {}
        self._allowance = Allowance(graph)

    def pack(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        call = find_call(node, self._schemas)
        if call is None:
            return None
        match call.name:
            case "aten::conv2d":
                packed = self._pack_2d(call)
            case "aten::conv_transpose2d":
                packed = self._pack_transposed(call)
            case "aten::conv1d":
                packed = self._pack_1d(call)
            case "aten::linear":
                packed = self._pack_linear(call)
            case "aten::layer_norm":
                packed = self._pack_layer_norm(call)
            case "aten::batch_norm":
                packed = self._pack_batch_norm(call)
            case "aten::lstm" | "aten::gru":
                return self._pack_step(call)
            case _:
                packed = None
        return None if packed is None else [packed]

    def _pack_2d(self, call: Call) -> Value | None:
        layer = _find_convolution(call, 2)
        if layer is None or not _has_rank(call.node.inputs[0], 4):
            return None
        if layer.groups == 1 or layer.is_depthwise:
            return self._run_2d(layer, call.node.inputs[0])
        if layer.groups > MOST_GROUPS:
            return None
        return self._run_groups(layer)

    def _run_groups(self, layer: _Layer) -> Value:
        """Computes each group by a convolution of its own, and puts their outputs together."""
        like, inputs = layer.call.node, layer.weight.sizes[1]
        one = self.rewriter.constant(1)
        parts = []
        for index in range(layer.groups):
            ends = (index * inputs, (index + 1) * inputs)
            span = [one, *map(self.rewriter.constant, ends), one]
            given = self.rewriter.emit("aten::slice.Tensor", [like.inputs[0], *span], like=like)
            parts.append(self._run_2d(layer.group(index), given))
        kind = "List[Tensor]"
        outputs = self.rewriter.emit(
            "prim::ListConstruct", parts, type=kind, attributes={"type": kind}, like=like
        )
        return self.rewriter.emit("aten::cat", [outputs, one], info=like.output.info, like=like)

    def _run_2d(self, layer: _Layer, source: Value) -> Value:
        numbers = map(make_ints, (layer.stride, layer.padding, layer.dilation))
        state = (layer.weight, layer.bias, *numbers, False, False, make_ints((0,)), layer.groups)
        return self._run(layer.call, RUN_CONVOLUTION, [source], CONVOLUTION, (*state, None, None))

    def _pack_transposed(self, call: Call) -> Value | None:
        layer = _find_convolution(call, 2, transposed=True)
        source = call.node.inputs[0]
        if layer is None or layer.groups != 1 or layer.dilation != (1, 1):
            return None
        if not _has_rank(source, 4):
            return None
        numbers = map(make_ints, (layer.stride, layer.padding, layer.dilation))
        state = (layer.weight, layer.bias, *numbers, True, False, make_ints(layer.added), 1)
        return self._run(call, RUN_TRANSPOSED, [source], CONVOLUTION, (*state, None, None))

    def _pack_1d(self, call: Call) -> Value | None:
        layer, source = _find_convolution(call, 1), call.node.inputs[0]
        if layer is None or not _has_rank(source, 3):
            return None
        numbers = map(make_ints, (layer.stride, layer.padding, layer.dilation))
        state = (layer.weight, layer.bias, *numbers, layer.groups)
        return self._run(call, RUN_CONVOLUTION_1D, [source], CONVOLUTION_1D, state)

    def _pack_linear(self, call: Call) -> Value | None:
        weight, source = call.tensor("weight"), call.node.inputs[0]
        if weight is None or not _is_usable(weight, 2) or not _is_float32(source):
            return None
        bias = _vector(call, "bias", weight.sizes[0])
        if bias is _OTHER:
            return None
        turned = replace(weight, sizes=weight.sizes[::-1], strides=weight.strides[::-1])
        return self._run(call, RUN_LINEAR, [source], LINEAR, (turned, bias))

    def _pack_layer_norm(self, call: Call) -> Value | None:
        shape, eps = call.integers("normalized_shape"), call.static("eps")
        source = call.node.inputs[0]
        if not shape or not isinstance(eps, float) or not _is_float32(source):
            return None
        if _rank(source) == 1:
            return None
        # The kernel needs both.
        weight, bias = self._fill(call, "weight", shape, 1), self._fill(call, "bias", shape, 0)
        if weight is None or bias is None:
            return None
        given = [source, call.node.inputs[1]]
        return self._run(call, RUN_LAYER_NORM, given, LAYER_NORM, (weight, bias, eps))

    def _pack_batch_norm(self, call: Call) -> Value | None:
        affine, mean = find_affine(call.node, self._schemas), call.tensor("running_mean")
        source = call.node.inputs[0]
        if affine is None or mean is None or _rank(source) != 4 or not _is_float32(source):
            return None
        if mean.sizes[0] % _TEXEL:
            return self._scale(call, affine)
        shape = mean.sizes
        state = [self._fill(call, "weight", shape, 1), self._fill(call, "bias", shape, 0), mean]
        state.append(self._fill(call, "running_var", shape, 1))
        if None in state or not _is_usable(mean, 1):
            return None
        eps = call.static("eps")
        return self._run(call, RUN_BATCH_NORM, [source], BATCH_NORM, (*state, eps))

    def _scale(self, call: Call, affine: Affine) -> Value | None:
        """Computes a batch norm as a convolution of each channel by itself."""
        channels = affine.scale.size
        if not self._allowance.take(2 * channels):
            return None
        layer = _Layer(
            call=call,
            weight=to_tensor(affine.scale.astype(np.float32).reshape(-1, 1, 1, 1)),
            bias=to_tensor(affine.shift.astype(np.float32)),
            stride=(1, 1),
            padding=(0, 0),
            dilation=(1, 1),
            groups=channels,
        )
        return self._run_2d(layer, call.node.inputs[0])

    def _pack_step(self, call: Call) -> list[Value] | None:
        source, hidden = call.value("input"), call.value("hx")
        state = _find_recurrent(call)
        if source is None or hidden is None or state is None or _steps(source) != 1:
            return None
        if call.name == "aten::gru":
            context = CustomObject(GRU, state)
            outputs = self._contexts.run(call.node, RUN_GRU, [source, hidden], context)
            return _note_step(outputs)
        made = hidden.producer
        # Its states are arguments of their own.
        if made is None or made.operator != "prim::ListConstruct" or len(made.inputs) != 2:
            return None
        given = [source, *made.inputs]
        return _note_step(self._contexts.run(call.node, RUN_LSTM, given, CustomObject(LSTM, state)))

    def _fill(self, call: Call, name: str, shape: tuple[int, ...], number: int) -> Tensor | None:
        """Returns a constant of a norm, or `number` everywhere if the norm has none.

        None if it is not constant, or has another shape.
        """
        found = call.static(name)
        if isinstance(found, Tensor):
            return found if _is_usable(found, len(shape)) and found.sizes == shape else None
        if found is not None or not all(shape) or not self._allowance.take(math.prod(shape)):
            return None
        key = (shape, number)
        if key not in self._filled:
            self._filled[key] = to_tensor(np.full(shape, number, np.float32))
        return self._filled[key]

    def _run(
        self,
        call: Call,
        operator: str,
        given: Sequence[Value],
        class_name: str,
        state: tuple[object, ...],
    ) -> Value:
        context = CustomObject(class_name, List("", list(state)))
        (made,) = self._contexts.run(call.node, operator, given, context)
        return made


_LAYERS = frozenset(
    "aten::" + name
    for name in ("conv1d", "conv2d", "conv_transpose2d", "linear", "layer_norm", "batch_norm")
)
_RECURRENT = frozenset({"aten::gru.input", "aten::lstm.input"})
_OTHER = object()
"""Stands for a bias that Vulkan cannot take."""


def _find_convolution(call: Call, dims: int, *, transposed: bool = False) -> _Layer | None:
    """Returns the layer; None if a part of it is not known, or no kernel computes it."""
    weight, groups = call.tensor("weight"), call.static("groups")
    stride, padding = call.integers("stride", dims), call.integers("padding", dims)
    dilation = call.integers("dilation", dims)
    added = call.integers("output_padding", dims) if transposed else (0,)
    if weight is None or not _is_usable(weight, dims + 2) or type(groups) is not int:
        return None
    if stride is None or padding is None or dilation is None or added is None:
        return None
    if not _between(1, (groups, *stride, *dilation)) or not _between(0, (*padding, *added)):
        return None
    if not transposed and weight.sizes[0] % groups:
        return None
    bias = _vector(call, "bias", weight.sizes[1] * groups if transposed else weight.sizes[0])
    if bias is _OTHER:
        return None
    assert bias is None or isinstance(bias, Tensor)
    return _Layer(
        call=call,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        added=added,
        groups=groups,
    )


def _find_recurrent(call: Call) -> List | None:
    """Returns the state of the packed weights of LSTM or GRU; None if its kernel lacks the form."""
    params, layers = call.static("params"), call.static("num_layers")
    if call.node.operator not in _RECURRENT or type(layers) is not int or layers < 1:
        return None
    if call.static("has_biases") is not True or call.static("batch_first") is not True:
        return None
    if call.static("train") is not False or call.static("bidirectional") is not False:
        return None
    if not isinstance(params, list) or len(params) != 4 * layers:
        return None
    ranks = (2, 2, 1, 1) * layers
    for one, rank in zip(params, ranks, strict=True):
        if not isinstance(one, Tensor) or not _is_usable(one, rank):
            return None
    # There is no dropout outside of training.
    return List("", [List("List[Tensor]", params), True, layers, 0.0, False, False, True])


def _steps(source: Value) -> int | None:
    """Returns the length of a sequence whose batch comes first; None if it is not known."""
    sizes = None if source.info is None else source.info.sizes
    return sizes[1] if sizes is not None and len(sizes) == 3 and _is_float32(source) else None


def _note_step(outputs: list[Value]) -> list[Value]:
    """Notes that the sequence that a layer makes has one step too, for the next layer."""
    outputs[0].info = TensorInfo("float32", (None, 1, None))
    return outputs


def explain_unpacked(operator: str, call: Call) -> str:
    """Says why `prepack_vulkan` has left a layer; an empty text for an operator of another kind."""
    if operator in _RECURRENT and _steps(call.node.inputs[0]) == 1:
        return "it has two directions, no biases, steps before batches, or weights not constant"
    name = operator.partition(".")[0]
    if name not in _LAYERS:
        return ""
    source, weight = call.node.inputs[0], call.tensor("weight")
    if not _is_float32(source):
        return "it takes float32 tensors only"
    if name == "aten::layer_norm" and _rank(source) == 1:
        return "its input has one dimension"
    if name in ("aten::layer_norm", "aten::batch_norm"):
        return "its parameters are not constant, or its input is not known to be images"
    if weight is None:
        return "its weight is not constant"
    groups, dilation = call.static("groups"), call.integers("dilation", 2)
    if name == "aten::conv_transpose2d" and (groups != 1 or dilation != (1, 1)):
        return "transposed convolutions have neither groups nor dilation"
    if name == "aten::conv2d" and isinstance(groups, int) and groups > MOST_GROUPS:
        return f"convolutions have one group, one for each channel, or at most {MOST_GROUPS}"
    return "its input has another number of dimensions, or a part of it is not constant"


def _is_usable(tensor: Tensor, rank: int) -> bool:
    """Whether a constant can be packed: it has float32 elements, and some."""
    return (
        tensor.dtype == "float32"
        and len(tensor.sizes) == rank
        and all(tensor.sizes)
        and to_array(tensor) is not None
    )


def _vector(call: Call, name: str, length: int) -> object:
    """Returns a constant of one dimension, or None for none; _OTHER if it is something else."""
    found = call.static(name)
    if found is None:
        return None
    if isinstance(found, Tensor) and _is_usable(found, 1) and found.sizes == (length,):
        return found
    return _OTHER


def _is_float32(value: Value) -> bool:
    """Whether a tensor has float32 elements, so far as is known."""
    return value.info is None or value.info.dtype in (None, "float32")


def _rank(value: Value) -> int | None:
    sizes = None if value.info is None else value.info.sizes
    return None if sizes is None else len(sizes)


def _has_rank(value: Value, rank: int) -> bool:
    """Whether a tensor has `rank` dimensions, and float32 elements so far as is known."""
    return _is_float32(value) and _rank(value) == rank


def _between(low: int, values: Sequence[int]) -> bool:
    return all(low <= value <= _LARGEST for value in values)


def _rows(tensor: Tensor, rows: slice) -> Tensor:
    """Returns a view of some rows, which shares the storage."""
    first, *rest = tensor.sizes
    start, stop, _ = rows.indices(first)
    return replace(
        tensor, sizes=(stop - start, *rest), offset=tensor.offset + start * tensor.strides[0]
    )
