"""Gives convolutions and linear layers with constant weights to XNNPACK."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Graph, Node, TensorInfo, Value
from builder.graph.operands import Call, find_call
from builder.graph.passes.batch_norm import find_affine
from builder.graph.passes.contexts import Contexts, make_ints
from builder.graph.passes.layout_table import ELEMENTWISE
from builder.graph.passes.pass_result import PassResult, describe
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import Allowance, Array, to_array, to_tensor
from builder.lite.objects import CustomObject, Tensor

CONVOLUTION = "xnnpack.Conv2dOpContext"
TRANSPOSED = "xnnpack.TransposeConv2dOpContext"
LINEAR = "xnnpack.LinearOpContext"
RUN = {
    CONVOLUTION: "prepacked::conv2d_clamp_run",
    TRANSPOSED: "prepacked::conv2d_transpose_clamp_run",
    LINEAR: "prepacked::linear_clamp_run",
}
"""Class of the packed weights -> operator that takes them."""
_ROWS = frozenset({"aten::embedding", "aten::layer_norm"})
"""Operators that make row-major tensors of any others."""
_MOST_STEPS = 50
_ROW_MAJOR, _CHANNELS_LAST = 0, (2, 3)
"""Codes of formats (c10/core/MemoryFormat.h)."""
_LARGEST = 65535
"""Of strides, paddings, dilations and groups: XNNPACK multiplies two of them in 32 bits."""


def prepack(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces convolutions and linear layers by those of XNNPACK with packed weights.

    The state of the packed weights is what upstream's `__getstate__` gives
    (ATen/native/xnnpack/RegisterOpContextClass.cpp), with weights in the order that XNNPACK packs
    from. Convolutions over one dimension are made ones over two, as upstream does. Batch norms
    that are left become convolutions of each channel by itself, which XNNPACK computes as one
    multiplication and addition.

    A reason to leave it out: a runtime without XNNPACK.
    """
    packer = _Packer(graph, schemas)
    changed = packer.rewriter.run(packer.pack)
    return PassResult(changed, describe(packer.reasons))


class _Packer:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self.reasons: Counter[str] = Counter()
        self._schemas = schemas
        self._contexts = Contexts(self.rewriter)
        self._arranged: dict[Hashable, Tensor] = {}
        self._allowance = Allowance(graph)
        self._has_formats = any(_names_format(node, schemas) for _, node in graph.block.walk())

    def pack(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        call = find_call(node, self._schemas)
        if call is None:
            return None
        match call.name:
            case "aten::conv1d":
                return self._pack_1d(call)
            case "aten::conv2d":
                return self._pack_2d(call, transposed=False)
            case "aten::conv_transpose2d":
                return self._pack_2d(call, transposed=True)
            case "aten::linear":
                return self._pack_linear(call)
            case "aten::batch_norm":
                return self._pack_norm(call)
            case _:
                return None

    def _pack_2d(self, call: Call, *, transposed: bool) -> Sequence[Value] | None:
        weight = self._weight(call, 4)
        if weight is None or not self._takes(call, 4):
            return None
        state = self._convolution_state(call, weight, transposed)
        if state is None:
            return None
        name = TRANSPOSED if transposed else CONVOLUTION
        return [self._run(call.node, call.node.inputs[0], name, state)]

    def _pack_1d(self, call: Call) -> Sequence[Value] | None:
        weight = self._weight(call, 3)
        if weight is None or not self._takes(call, 3):
            return None
        state = self._convolution_state(call, weight, transposed=False)
        if state is None:
            return None
        info = call.node.inputs[0].info
        sizes = None if info is None or info.sizes is None else info.sizes
        # The new dimension stands where images have their height.
        wide = TensorInfo("float32", None if sizes is None else (*sizes[:2], 1, *sizes[2:]))
        emit, two = self.rewriter.emit, self.rewriter.constant(2)
        image = emit("aten::unsqueeze", [call.node.inputs[0], two], info=wide, like=call.node)
        rows = self._run(call.node, image, CONVOLUTION, state)
        out = call.node.output.info
        if out is not None and out.sizes is not None and len(out.sizes) == 3:
            rows.info = TensorInfo("float32", (*out.sizes[:2], 1, *out.sizes[2:]))
        return [emit("aten::squeeze.dim", [rows, two], info=out, like=call.node)]

    def _pack_linear(self, call: Call) -> Sequence[Value] | None:
        weight = self._weight(call, 2)
        bias = _bias(call, weight.sizes[0]) if weight is not None else None
        # XNNPACK's linear layer takes any number of dimensions, so no rank is asked for.
        if weight is None or bias is _OTHER or not self._takes(call, None):
            return None
        source = call.node.inputs[0]
        if self._may_be_channels_last(source):
            like = call.node
            row_major = self.rewriter.constant(_ROW_MAJOR)
            source = self.rewriter.emit("aten::contiguous", [source, row_major], like=like)
            source.info = like.inputs[0].info
        return [self._run(call.node, source, LINEAR, (weight, bias, None, None))]

    def _may_be_channels_last(self, source: Value) -> bool:
        """Whether a tensor may be stored as NHWC, for which upstream's linear layer is wrong.

        It is so for `suggest_memory_format` in ATen/native/xnnpack/Linear.cpp, in torch 1.13 to
        2.6. Arguments may be stored so, and what has their order.
        """
        info = source.info
        if source.producer is not None and source.producer.operator == RUN[LINEAR]:
            return False
        # Only tensors of four dimensions or more can be channels last.
        if info is not None and info.sizes is not None:
            return len(info.sizes) > 3
        return self._has_formats or not self._is_row_major(source, iter(range(_MOST_STEPS)))

    def _is_row_major(self, value: Value, steps: Iterator[int]) -> bool:
        """Whether an operator has made a tensor in rows of its own, if nothing names a format."""
        if value.is_constant and not isinstance(value.constant, Tensor):
            return True
        node = value.producer
        if node is None or next(steps, None) is None:
            return value.type in ("int", "float", "bool")
        if node.operator == RUN[LINEAR]:
            return True
        call = find_call(node, self._schemas)
        if call is None or call.name not in ELEMENTWISE:
            return call is not None and call.name in _ROWS
        return all(self._is_row_major(one, steps) for one in node.inputs)

    def _pack_norm(self, call: Call) -> Sequence[Value] | None:
        affine = find_affine(call.node, self._schemas)
        info = call.node.inputs[0].info
        if affine is None or info is None or info.sizes is None or len(info.sizes) != 4:
            self.reasons["a batch norm of an input that may not be float32 images"] += 1
            return None
        if info.dtype != "float32":
            self.reasons["a batch norm of an input that may not be float32 images"] += 1
            return None
        # Each channel is a group with one weight of one pixel: multiply, then add the bias.
        scale, shift = affine.scale.astype(np.float32), affine.shift.astype(np.float32)
        one, zero = make_ints((1, 1)), make_ints((0, 0))
        weight = to_tensor(scale.reshape(-1, 1, 1, 1))
        state = (weight, to_tensor(shift), one, zero, one, scale.size, None, None)
        if scale.size > _LARGEST:
            return None
        return [self._run(call.node, call.node.inputs[0], CONVOLUTION, state)]

    def _weight(self, call: Call, rank: int) -> Tensor | None:
        weight = call.tensor("weight")
        if weight is None:
            self.reasons[f"{call.name}: its weight is not constant"] += 1
        elif weight.dtype != "float32" or weight.quantizer is not None:
            self.reasons[f"{call.name}: XNNPACK takes float32, its weight is {weight.dtype}"] += 1
        elif len(weight.sizes) == rank and all(weight.sizes) and to_array(weight) is not None:
            return weight
        return None

    def _takes(self, call: Call, rank: int | None) -> bool:
        """Whether XNNPACK takes the input, so far as it is known."""
        info = call.node.inputs[0].info or TensorInfo()
        if info.dtype not in (None, "float32"):
            self.reasons[f"{call.name}: XNNPACK takes float32, its input is {info.dtype}"] += 1
            return False
        if rank is not None and (info.sizes is None or len(info.sizes) != rank):
            self.reasons[f"{call.name}: its input may have no batch dimension"] += 1
            return False
        # XNNPACK refuses images without channels or pixels (`usable` in
        # ATen/native/xnnpack/Convolution.cpp).
        return info.sizes is None or None in info.sizes or all(info.sizes)

    def _convolution_state(
        self, call: Call, weight: Tensor, transposed: bool
    ) -> tuple[object, ...] | None:
        dims = len(weight.sizes) - 2
        groups = call.static("groups")
        stride, padding = call.integers("stride", dims), call.integers("padding", dims)
        dilation = call.integers("dilation", dims)
        added = call.integers("output_padding", dims) if transposed else (0,) * dims
        if type(groups) is not int or None in (stride, padding, dilation, added):
            self.reasons[f"{call.name}: its stride, padding or groups are not constant"] += 1
            return None
        assert stride is not None
        assert padding is not None
        assert dilation is not None
        assert added is not None
        # A transposed convolution has its weight as inputs, outputs of a group, kernel.
        channels = weight.sizes[1] * groups if transposed else weight.sizes[0]
        bias = _bias(call, channels)
        fits = (
            _between(1, (groups, *stride, *dilation))
            and _between(0, padding)
            and weight.sizes[0] % groups == 0
            and all(0 <= a < s for a, s in zip(added, stride, strict=True))
        )
        if not fits or bias is _OTHER:
            self.reasons[f"{call.name}: XNNPACK has no convolution like it"] += 1
            return None
        # The image gets a height of 1, over which the window has one row and neither stride nor
        # padding.
        if dims == 1:
            stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
        # Only the transposed class has the output padding, between padding and dilation
        # (ATen/native/xnnpack/OpContext.h).
        pairs = [make_ints(stride), make_ints(padding)]
        pairs += [make_ints(added)] if transposed else []
        arranged = self._arrange(weight)
        if arranged is None:
            self.reasons["a weight is used so often that packing would take much memory"] += 1
            return None
        return (arranged, bias, *pairs, make_ints(dilation), groups, None, None)

    def _arrange(self, weight: Tensor) -> Tensor | None:
        """Returns the weight with its channels last, so that packing need not copy it.

        None if its elements cannot be read, or new weights take too much memory already.
        """
        # Layers may share a weight. Then they share the arranged one too, and the file has it once.
        key = (weight.storage, weight.sizes, weight.strides, weight.offset)
        if key not in self._arranged:
            array = to_array(weight)
            if array is None or not self._allowance.take(array.size):
                return None
            wide: Array = array if array.ndim == 4 else np.expand_dims(array, 2)
            self._arranged[key] = to_tensor(wide, channels_last=True)
        return self._arranged[key]

    def _run(self, node: Node, source: Value, class_name: str, state: tuple[object, ...]) -> Value:
        context = CustomObject(class_name, state)
        (made,) = self._contexts.run(node, RUN[class_name], [source], context)
        return made


_OTHER = Tensor(storage=to_tensor(np.zeros(0, np.float32)).storage, sizes=(0,), strides=(1,))
"""Stands for a bias that XNNPACK cannot take."""


def _bias(call: Call, channels: int) -> Tensor | None:
    bias = call.static("bias")
    if bias is None:
        return None
    if not isinstance(bias, Tensor) or bias.dtype != "float32" or bias.sizes != (channels,):
        return _OTHER
    return bias if to_array(bias) is not None else _OTHER


def _names_format(node: Node, schemas: Schemas) -> bool:
    call = find_call(node, schemas)
    return call is not None and call.static("memory_format") in _CHANNELS_LAST


def _between(low: int, values: tuple[int, ...]) -> bool:
    return all(low <= value <= _LARGEST for value in values)
