"""Writes operators that Vulkan lacks by those that it has, where both compute the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases, is_alone
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import UNKNOWN, Call, find_call
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import to_array, to_tensor
from builder.lite.objects import List, Tensor

_FLOAT32 = 6
"""Code of the dtype (c10/core/ScalarType.h)."""


def use_vulkan_forms(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces operators without a kernel for Vulkan by exact forms of operators with one.

    Exact means the same formula: results differ in the last bits where it sums in another order.
    Tensors of other dtypes than float32 keep their operators. Where a dtype is not known, a form
    gives what the operator gives for any dtype, or the operator stays.
    """
    former = _Former(graph, schemas)
    return PassResult(former.rewriter.run(former.rewrite))


class _Former:
    """What the rules share: they emit nodes in front of the one that they replace."""

    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)

    def rewrite(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        call = find_call(node, self._schemas)
        rule = _RULES.get(node.operator)
        if rule is None:
            rule = self._find_in_place(node)
        if rule is None or call is None or not _may_be_float32(node.inputs[0]):
            return None
        made = rule(self, call)
        return None if made is None else [made]

    def _find_in_place(self, node: Node) -> _Rule | None:
        """Returns the rule for an operator in place, if nothing else can see what it changes."""
        name, dot, overload = node.operator.partition(".")
        rule = _RULES.get(f"{name[:-1]}{dot}{overload}") if name.endswith("_") else None
        if rule is None:
            return None
        uses, home = self.rewriter.uses, self.rewriter.home
        return rule if is_alone(node.inputs[0], node, self._schemas, uses, home) else None

    def is_free(self, call: Call, *, copies: bool = True) -> bool:
        """Whether the result may be the argument itself, or a view where the operator makes a copy.

        With `copies` false, it is one that is always a view.
        """
        node, source = call.node, call.node.inputs[0]
        # If nothing else can see the source, only the result is ever looked at.
        if is_alone(source, node, self._schemas, self.rewriter.uses, self.rewriter.home):
            return True
        return not any(
            self._aliases.is_reshaped(one) or (copies and self._aliases.is_told_apart(one, node))
            for one in (source, node.output)
        )

    def emit(self, call: Call, operator: str, *inputs: object) -> Value:
        """Adds an operator; inputs that are no values become constants."""
        given = [one if isinstance(one, Value) else self.rewriter.constant(one) for one in inputs]
        return self.rewriter.emit(operator, given, like=call.node)

    def number(self, call: Call, operator: str, *inputs: object) -> Value:
        """Adds an operator whose result is an integer."""
        value = self.emit(call, operator, *inputs)
        value.type = "int"
        return value

    def ints(self, *items: Value | int) -> Value:
        """Adds a list of integers."""
        if all(isinstance(item, int) for item in items):
            return self.rewriter.constant(List("List[int]", list(items)))
        values = [
            item if isinstance(item, Value) else self.rewriter.constant(item) for item in items
        ]
        kind = "List[int]"
        return self.rewriter.emit(
            "prim::ListConstruct", values, type=kind, attributes={"type": kind}
        )


_Rule = Callable[[_Former, Call], Value | None]


def _silu(former: _Former, call: Call) -> Value:
    source = call.node.inputs[0]
    return former.emit(call, "aten::mul.Tensor", source, former.emit(call, "aten::sigmoid", source))


def _add_relu(former: _Former, call: Call) -> Value:
    return former.emit(
        call, "aten::relu", former.emit(call, "aten::add.Tensor", *call.node.inputs[:3])
    )


def _clamp(low: object, high: object) -> _Rule:
    # A float would make floats of integers, and a whole number changes no dtype.
    return lambda former, call: former.emit(call, "aten::clamp", call.node.inputs[0], low, high)


def _clamp_min(former: _Former, call: Call) -> Value:
    return former.emit(call, "aten::clamp", call.node.inputs[0], call.node.inputs[1], None)


def _clamp_max(former: _Former, call: Call) -> Value:
    return former.emit(call, "aten::clamp", call.node.inputs[0], None, call.node.inputs[1])


def _neg(former: _Former, call: Call) -> Value:
    # A whole number leaves integers integers.
    return former.emit(call, "aten::mul.Scalar", call.node.inputs[0], -1)


def _rsub(former: _Former, call: Call) -> Value | None:
    alpha = call.static("alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        return None
    source, other = call.node.inputs[:2]
    if call.node.operator.endswith(".Tensor"):
        if not _is_float32(source):
            return former.emit(call, "aten::sub.Tensor", other, source, alpha)
        operator = "aten::add.Tensor"
    else:
        number = call.static("other")
        if not _is_float32(source) and type(number) not in (int, float):
            return None
        # A float makes floats of integers, and has to do it before they may overflow.
        alpha = float(alpha) if isinstance(number, float) else alpha
        operator = "aten::add.Scalar"
    scaled = former.emit(call, "aten::mul.Scalar", source, -alpha)
    return former.emit(call, operator, scaled, other, 1)


def _reciprocal(former: _Former, call: Call) -> Value:
    return _over(former, call, call.node.inputs[0])


def _rsqrt(former: _Former, call: Call) -> Value:
    return _over(former, call, former.emit(call, "aten::sqrt", call.node.inputs[0]))


def _over(former: _Former, call: Call, divisor: Value) -> Value:
    if _is_float32(call.node.inputs[0]) and _rank(call.node.inputs[0]):
        one = former.rewriter.constant(to_tensor(np.ones(1, np.float32)))
    else:
        # A constant of one dimension would make a vector of a tensor without dimensions.
        one = former.emit(call, "aten::clamp", divisor, 1, 1)
    return former.emit(call, "aten::div.Tensor", one, divisor)


def _pow(former: _Former, call: Call) -> Value | None:
    source, exponent = call.node.inputs[0], call.static("exponent")
    if type(exponent) not in (int, float):
        return None
    if type(exponent) is float and exponent in (1, 2, 3, -2) and not _is_float32(source):
        # Integers would stay integers.
        return None
    match exponent:
        case 1:
            # A tensor of its own, which `drop_identities` drops where nobody can tell.
            return former.emit(call, "aten::mul.Scalar", source, 1)
        case 2 | 3:
            made = _square(former, call)
            return made if exponent == 2 else former.emit(call, "aten::mul.Tensor", made, source)
        case 0.5:
            return former.emit(call, "aten::sqrt", source)
        case -1:
            return _over(former, call, source)
        case -0.5:
            return _rsqrt(former, call)
        case -2:
            return _over(former, call, former.emit(call, "aten::mul.Tensor", source, source))
    return None


def _square(former: _Former, call: Call) -> Value:
    source = call.node.inputs[0]
    # Powers of bools are integers, and products of two of them are bools.
    one = source if _is_float32(source) else former.emit(call, "aten::mul.Scalar", source, 1)
    return former.emit(call, "aten::mul.Tensor", one, source)


def _prelu(former: _Former, call: Call) -> Value | None:
    weight, source = call.tensor("weight"), call.node.inputs[0]
    rank = _rank(source)
    array = None if weight is None else to_array(weight)
    if array is None or array.ndim != 1 or array.dtype != np.float32 or not rank or rank < 2:
        return None
    scales = array if array.size == 1 else array.reshape(-1, *(1,) * (rank - 2))
    low = former.emit(call, "aten::clamp", source, None, 0.0)
    scaled = former.emit(call, "aten::mul.Tensor", low, to_tensor(scales))
    return former.emit(call, "aten::add.Tensor", former.emit(call, "aten::relu", source), scaled, 1)


def _itself(former: _Former, call: Call) -> Value | None:
    return call.node.inputs[0] if former.is_free(call) else None


def _view(former: _Former, call: Call) -> Value | None:
    return call.node.inputs[0] if former.is_free(call, copies=False) else None


def _t(former: _Former, call: Call) -> Value | None:
    if _rank(call.node.inputs[0]) != 2:
        return None
    return former.emit(call, "aten::transpose.int", call.node.inputs[0], 0, 1)


def _squeeze(former: _Former, call: Call) -> Value | None:
    source, dim = call.node.inputs[0], call.static("dim")
    sizes = None if source.info is None else source.info.sizes
    if sizes is None or type(dim) is not int or not -len(sizes) <= dim < len(sizes):
        return None
    dim %= len(sizes)
    if sizes[dim] is None:
        return None
    if sizes[dim] != 1:
        return _view(former, call)
    if len(sizes) in (3, 4):
        return former.emit(call, "aten::select.int", source, dim, 0)
    return former.emit(call, "aten::reshape", source, former.ints(-1)) if len(sizes) == 2 else None


def _glu(former: _Former, call: Call) -> Value | None:
    if call.static("dim") != -3 or _rank(call.node.inputs[0]) != 4:
        return None
    return former.emit(call, "aten::glu", call.node.inputs[0], 1)


def _pad(former: _Former, call: Call) -> Value | None:
    kernels = {"reflect": "aten::reflection_pad2d", "replicate": "aten::replication_pad2d"}
    kernel, sizes = kernels.get(str(call.static("mode"))), call.integers("pad")
    if kernel is None or sizes is None or len(sizes) != 4:
        return None
    return former.emit(call, kernel, call.node.inputs[0], call.node.inputs[1])


def _channel_shuffle(former: _Former, call: Call) -> Value | None:
    """Within four dimensions: height and width are one while the channels are shuffled."""
    source, groups = call.node.inputs[0], call.static("groups")
    channels = _channels(source)
    if type(groups) is not int or channels is None or groups < 1 or channels % groups:
        return None
    # Reshapes that move nothing make a view.
    if not former.is_free(call):
        return None
    batch = former.number(call, "aten::size.int", source, 0)
    height = former.number(call, "aten::size.int", source, 2)
    width = former.number(call, "aten::size.int", source, 3)
    split = former.emit(
        call, "aten::reshape", source, former.ints(batch, groups, channels // groups, -1)
    )
    turned = former.emit(call, "aten::transpose.int", split, 1, 2)
    return former.emit(call, "aten::reshape", turned, former.ints(batch, channels, height, width))


def _pixel_shuffle(former: _Former, call: Call) -> Value | None:
    """First the columns of each block of pixels move to their place, and then the rows."""
    source, factor = call.node.inputs[0], call.static("upscale_factor")
    channels = _channels(source)
    if type(factor) is not int or channels is None or factor < 1 or channels % factor**2:
        return None
    if not former.is_free(call):
        return None
    batch = former.number(call, "aten::size.int", source, 0)
    height = former.number(call, "aten::size.int", source, 2)
    width = former.number(call, "aten::size.int", source, 3)
    wide = former.number(call, "aten::mul.int", width, factor)
    high = former.number(call, "aten::mul.int", height, factor)
    reshape, permute = "aten::reshape", "aten::permute"
    columns = former.emit(call, reshape, source, former.ints(-1, factor, height, width))
    columns = former.emit(call, permute, columns, former.ints(0, 2, 3, 1))
    rows = former.emit(call, reshape, columns, former.ints(-1, factor, height, wide))
    rows = former.emit(call, permute, rows, former.ints(0, 2, 1, 3))
    shape = former.ints(batch, channels // factor**2, high, wide)
    return former.emit(call, reshape, rows, shape)


def _instance_norm(former: _Former, call: Call) -> Value | None:
    source = call.node.inputs[0]
    channels = _channels(source)
    if call.static("use_input_stats") is not True or channels is None:
        return None
    scale, shift = _affine(call, channels)
    if scale is UNKNOWN or shift is UNKNOWN:
        return None
    made = _normalise(former, call, source, (2, 3))
    return None if made is None else _apply(former, call, made, scale, shift)


def _group_norm(former: _Former, call: Call) -> Value | None:
    source, groups = call.node.inputs[0], call.static("num_groups")
    channels = _channels(source)
    if type(groups) is not int or channels is None or groups < 1 or channels % groups:
        return None
    scale, shift = _affine(call, channels)
    if scale is UNKNOWN or shift is UNKNOWN:
        return None
    if groups == 1:
        made = _normalise(former, call, source, (1, 2, 3))
    else:
        batch = former.number(call, "aten::size.int", source, 0)
        height = former.number(call, "aten::size.int", source, 2)
        width = former.number(call, "aten::size.int", source, 3)
        split = former.emit(call, "aten::reshape", source, former.ints(batch, groups, 1, -1))
        flat = _normalise(former, call, split, (3,))
        shape = former.ints(batch, channels, height, width)
        made = None if flat is None else former.emit(call, "aten::reshape", flat, shape)
    return None if made is None else _apply(former, call, made, scale, shift)


def _normalise(former: _Former, call: Call, source: Value, dims: tuple[int, ...]) -> Value | None:
    """Subtracts the mean over `dims`, and divides by the standard deviation."""
    eps = call.static("eps")
    if not isinstance(eps, float):
        return None
    axes = former.ints(*dims)
    mean = former.emit(call, "aten::mean.dim", source, axes, True, None)
    centred = former.emit(call, "aten::sub.Tensor", source, mean, 1)
    squares = former.emit(call, "aten::mul.Tensor", centred, centred)
    variance = former.emit(call, "aten::mean.dim", squares, axes, True, None)
    spread = former.emit(
        call, "aten::sqrt", former.emit(call, "aten::add.Scalar", variance, eps, 1)
    )
    return former.emit(call, "aten::div.Tensor", centred, spread)


def _affine(call: Call, channels: int) -> tuple[object, object]:
    """Returns weight and bias for each channel, as tensors that images can be multiplied with.

    None in the place of one that is not given, UNKNOWN in the place of one that is not constant.
    """
    found: list[object] = []
    for name in ("weight", "bias"):
        held = call.static(name)
        array = to_array(held) if isinstance(held, Tensor) else None
        if held is None:
            found.append(None)
        elif array is None or array.shape != (channels,) or array.dtype != np.float32:
            found.append(UNKNOWN)
        else:
            found.append(to_tensor(array.reshape(channels, 1, 1)))
    return found[0], found[1]


def _apply(former: _Former, call: Call, value: Value, scale: object, shift: object) -> Value:
    if scale is not None:
        value = former.emit(call, "aten::mul.Tensor", value, scale)
    return value if shift is None else former.emit(call, "aten::add.Tensor", value, shift, 1)


def _attention(former: _Former, call: Call) -> Value | None:
    """Attention by its definition, where nothing is masked or dropped."""
    query, key, value = call.node.inputs[:3]
    sizes = None if query.info is None else query.info.sizes
    scale = call.static("scale")
    if call.static("attn_mask") is not None or call.static("is_causal") is not False:
        return None
    if call.static("dropout_p") not in (0, 0.0) or call.static("enable_gqa") not in (
        False,
        UNKNOWN,
    ):
        return None
    if scale is None:
        if not sizes or not sizes[-1]:
            return None
        scale = float(sizes[-1]) ** -0.5
    if not isinstance(scale, float):
        return None
    scores = former.emit(
        call,
        "aten::matmul",
        former.emit(call, "aten::mul.Scalar", query, scale),
        former.emit(call, "aten::transpose.int", key, -2, -1),
    )
    weights = former.emit(call, "aten::softmax.int", scores, -1, None)
    return former.emit(call, "aten::matmul", weights, value)


def _rank(value: Value) -> int | None:
    sizes = None if value.info is None else value.info.sizes
    return None if sizes is None else len(sizes)


def _channels(value: Value) -> int | None:
    """Returns the number of channels of a batch of images; None if it is none, or not known."""
    sizes = None if value.info is None else value.info.sizes
    return sizes[1] if sizes is not None and len(sizes) == 4 else None


def _may_be_float32(value: Value) -> bool:
    return value.info is None or value.info.dtype in (None, "float32")


def _is_float32(value: Value) -> bool:
    """Whether the dtype is known, so that the kind of a number does not matter."""
    return value.info is not None and value.info.dtype == "float32"


_RULES: Final[Mapping[str, _Rule]] = {
    "aten::_add_relu.Tensor": _add_relu,
    "aten::channel_shuffle": _channel_shuffle,
    "aten::clamp_max": _clamp_max,
    "aten::clamp_min": _clamp_min,
    "aten::contiguous": _itself,
    "aten::detach": _view,
    "aten::glu": _glu,
    "aten::group_norm": _group_norm,
    "aten::instance_norm": _instance_norm,
    "aten::neg": _neg,
    "aten::pad": _pad,
    "aten::pixel_shuffle": _pixel_shuffle,
    "aten::pow.Tensor_Scalar": _pow,
    "aten::prelu": _prelu,
    "aten::reciprocal": _reciprocal,
    "aten::relu6": _clamp(0, 6),
    "aten::rsqrt": _rsqrt,
    "aten::rsub.Scalar": _rsub,
    "aten::rsub.Tensor": _rsub,
    "aten::scaled_dot_product_attention": _attention,
    "aten::silu": _silu,
    "aten::square": _square,
    "aten::squeeze.dim": _squeeze,
    "aten::t": _t,
}
"""Operator -> its form, which `aten::silu_` and the like have too."""
