"""Runs a graph by torch's operators, one after another: what a lowered graph has to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from builder.graph.graph import Block, Node, Value
from builder.graph.program import Program
from builder.lite.objects import CustomObject, Device, List, Tensor


def run_method(program: Program, *inputs: object, method: str = "forward") -> object:
    """Returns what a method of the program computes; attributes of the module may change."""
    graph = program.method(method)
    assert graph is not None
    attributes = program.root.attributes
    for name, value in attributes.items():
        attributes[name] = to_torch(value)
    values = dict(zip(graph.block.inputs, (program.root, *inputs), strict=True))
    (result,) = _run_block(graph.block, values)
    return result


def to_torch(value: object) -> object:
    """Returns a constant of a graph as torch has it."""
    match value:
        case Tensor():
            dtype = getattr(torch, value.dtype)
            data = bytearray(value.storage.read()) or bytearray(16)
            flat = torch.frombuffer(data, dtype=dtype)
            return flat.as_strided(value.sizes, value.strides, value.offset)
        case List():
            return [to_torch(item) for item in value.items]
        case Device():
            return torch.device(value.name)
    return value


def _run_block(block: Block, values: dict[Value, object]) -> list[object]:
    for node in block.nodes:
        results = _run_node(node, [values[one] for one in node.inputs], values)
        assert len(results) == len(node.outputs), node.operator
        values.update(zip(node.outputs, results, strict=True))
    return [values[one] for one in block.outputs]


def _run_node(node: Node, given: Sequence, values: dict[Value, object]) -> Sequence[object]:
    match node.operator:
        case "prim::Constant":
            return [to_torch(node.attributes["value"])]
        case "prim::GetAttr":
            return [list(given[0].attributes.values())[node.attributes["slot"]]]
        case name if name in _CONTAINERS:
            return _CONTAINERS[name](given)
        case "prim::If":
            return _run_block(node.blocks[0 if given[0] else 1], values)
        case "prim::Loop":
            return _run_loop(node, given, values)
    if node.operator.startswith("vulkan_prepack::"):
        made = _VULKAN[node.operator.partition("::")[2]](*given)
        return [made] if len(node.outputs) == 1 else list(made)
    if node.operator == "aten::to.prim_Device" and given[1] == torch.device("vulkan"):
        return [given[0]]
    result = _call(_find(node.operator), given)
    if len(node.outputs) == 1:
        return [result]
    return [] if result is None else list(result)


_CONTAINERS = {
    "prim::ListConstruct": lambda given: [list(given)],
    "prim::TupleConstruct": lambda given: [tuple(given)],
    "prim::DictConstruct": lambda given: [dict(zip(given[::2], given[1::2], strict=True))],
    "prim::ListUnpack": lambda given: list(given[0]),
    "prim::TupleIndex": lambda given: [given[0][given[1]]],
    "prim::DictIndex": lambda given: [given[0][given[1]]],
}


def _run_loop(node: Node, given: Sequence, values: dict[Value, object]) -> Sequence[object]:
    most, go_on, *carried = given
    (block,) = node.blocks
    for turn in range(most):
        if not go_on:
            break
        values.update(zip(block.inputs, (turn, *carried), strict=True))
        go_on, *carried = _run_block(block, values)
    return carried


def _call(function, given: Sequence) -> object:
    """Calls an operator with all arguments of its schema in order, as the interpreter does."""
    if not hasattr(function, "_schema"):
        return function(*given)
    names = [one.name for one in function._schema.arguments if one.kwarg_only]
    first = len(given) - len(names)
    return function(*given[:first], **dict(zip(names, given[first:], strict=True)))


def _find(operator: str):
    space, _, name = operator.partition("::")
    name, _, overload = name.partition(".")
    if operator == "aten::scaled_dot_product_attention":
        return _attend
    if operator == "aten::rms_norm":
        return _rms_norm
    return getattr(getattr(getattr(torch.ops, space), name), overload or "default")


def _attend(query, key, value, mask=None, dropout=0.0, is_causal=False, scale=None, gqa=False):
    """`scaled_dot_product_attention` by its definition; torch 1.13 does not have it."""
    scores = query @ key.transpose(-2, -1) * (query.size(-1) ** -0.5 if scale is None else scale)
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None and mask.dtype is torch.bool:
        mask = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
    return torch.softmax(scores if mask is None else scores + mask, -1) @ value


def _rms_norm(value, shape, weight=None, eps=None):
    axes = tuple(range(-len(shape), 0))
    eps = torch.finfo(value.dtype).eps if eps is None else eps
    scaled = value * torch.rsqrt(value.pow(2).mean(axes, keepdim=True) + eps)
    return scaled if weight is None else scaled * weight


def _state(context: CustomObject) -> list:
    """Returns the state of packed weights, a list without a type as upstream's `pack` takes it."""
    assert isinstance(context.state, List)
    assert not context.state.type
    return [to_torch(item) for item in context.state.items]


def _run_conv2d(source: torch.Tensor, context: CustomObject) -> torch.Tensor:
    """What Convolution.cpp computes: it knows one group, and one for each channel."""
    weight, bias, stride, padding, dilation, transposed, quantised, added, groups, low, high = (
        _state(context)
    )
    assert not quantised
    assert source.dim() == 4
    assert all(limit is None or type(limit) is float for limit in (low, high))
    if transposed:
        assert (groups, dilation) == (1, [1, 1])
        made = torch.conv_transpose2d(source, weight, bias, stride, padding, added)
    else:
        assert groups == 1 or weight.shape[:2] == (groups, 1)
        made = torch.conv2d(source, weight, bias, stride, padding, dilation, groups)
    return made if low is None and high is None else made.clamp(low, high)


def _run_conv1d(source: torch.Tensor, context: CustomObject) -> torch.Tensor:
    assert source.dim() == 3
    return torch.conv1d(source, *_state(context))


def _run_linear(source: torch.Tensor, context: CustomObject) -> torch.Tensor:
    weight, bias = _state(context)
    made = source @ weight
    return made if bias is None else made + bias


def _run_layer_norm(source: torch.Tensor, shape: list, context: CustomObject) -> torch.Tensor:
    weight, bias, eps = _state(context)
    assert 2 <= source.dim() <= 4
    return torch.layer_norm(source, shape, weight, bias, eps)


def _run_batch_norm(source: torch.Tensor, context: CustomObject) -> torch.Tensor:
    weight, bias, mean, variance, eps = _state(context)
    assert source.dim() == 4
    assert source.size(1) % 4 == 0
    return torch.batch_norm(source, weight, bias, mean, variance, False, 0.0, eps, False)


def _run_lstm(source: torch.Tensor, h: torch.Tensor, c: torch.Tensor, context: CustomObject):
    assert source.shape[1] == 1
    return torch.lstm(source, (h, c), *_state(context))


def _run_gru(source: torch.Tensor, h: torch.Tensor, context: CustomObject):
    assert source.shape[1] == 1
    return torch.gru(source, h, *_state(context))


_VULKAN = {
    "run_lstm_context": _run_lstm,
    "run_gru_context": _run_gru,
    "run_conv2d_context": _run_conv2d,
    "run_tconv2d_context": _run_conv2d,
    "run_conv1d_context": _run_conv1d,
    "run_linear_context": _run_linear,
    "run_layernorm_context": _run_layer_norm,
    "run_batchnorm_context": _run_batch_norm,
}
"""What the operators of Vulkan with packed weights mean (ATen/native/vulkan/ops)."""


def leaves(value: object) -> list[object]:
    """Returns tensors and numbers in the order of the C API."""
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [value]
