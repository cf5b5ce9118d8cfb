"""Drops operators that return what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import Graph, Node, Value
from builder.graph.operands import Call, find_call
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.graph.shape_elements import conversion_dtype

_PRESERVE = 1
"""Code of torch.preserve_format (c10/core/MemoryFormat.h)."""


def drop_identities(graph: Graph, schemas: Schemas) -> PassResult:
    """Drops dropout that does not train, and conversions, copies and reshapes without effect.

    A copy stays if the model changes the copy or its source in place, or hands the copy out.

    A reason to leave it out: none but to look at what another pass left.
    """
    aliases = Aliases(graph, schemas)
    rewriter = Rewriter(graph)

    def rule(node: Node) -> Sequence[Value] | None:
        call = find_call(node, schemas)
        if call is None or len(node.outputs) != 1 or not node.inputs:
            return None
        source = _find_source(call)
        if source is None or not _is_free(call, source, aliases):
            return None
        return [source]

    return PassResult(rewriter.run(rule))


def _find_source(call: Call) -> Value | None:
    """Returns the argument that the call returns or copies as it is; None if it does something."""
    name = call.name
    rule = _RULES.get(name) or _RULES.get(name.removesuffix("_"))
    if rule is None or not rule(call):
        return None
    source = call.node.inputs[0]
    # For `cat` the input is a list, and for `unsqueeze` what `squeeze` made: the tensor is one step
    # further.
    if name not in _INNER:
        return source
    return None if source.producer is None else source.producer.inputs[0]


def _is_free(call: Call, source: Value, aliases: Aliases) -> bool:
    """Whether the result may be the argument itself, also where the operator makes a copy."""
    output = call.node.output
    # Both have a shape of their own, which the model changes.
    if aliases.is_reshaped(source) or aliases.is_reshaped(output):
        return False
    # A parameter cannot be changed in place, and what is detached from it can.
    if call.name == "aten::detach":
        return not aliases.is_written(output)
    if call.name not in _COPYING:
        return True
    return not (aliases.is_written(source) or aliases.is_written(output) or aliases.escapes(output))


def _always(_: Call) -> bool:
    return True


def _is_evaluated(call: Call) -> bool:
    trains = call.static("train")
    # Dropout with the probability 0 keeps each value also in training.
    return trains is False or (isinstance(trains, bool) and call.static("p") == 0.0)


def _keeps_layout(call: Call) -> bool:
    # Another format changes strides, which a later node may read.
    return call.static("memory_format") in (None, _PRESERVE)


def _converts_nothing(call: Call) -> bool:
    source = call.value("self")
    if source is None or source.info is None or source.info.dtype is None:
        return False
    return (
        conversion_dtype(call) == source.info.dtype
        and call.static("copy") is False
        and _keeps_layout(call)
    )


def _is_same_type(call: Call) -> bool:
    dtypes = [None if v.info is None else v.info.dtype for v in call.node.inputs[:2]]
    return dtypes[0] is not None and dtypes[0] == dtypes[-1]


def _keeps_shape(call: Call) -> bool:
    """Whether all sizes are known, and those of the result are those of the argument."""
    before, after = call.node.inputs[0].info, call.node.output.info
    if before is None or after is None or before.sizes is None or None in before.sizes:
        return False
    return before.sizes == after.sizes


def _keeps_order(call: Call) -> bool:
    dims, info = call.integers("dims"), call.node.inputs[0].info
    # It refuses a tensor with another number of dimensions.
    if dims is None or info is None or info.sizes is None or len(info.sizes) != len(dims):
        return False
    return list(dims) == list(range(len(dims)))


def _swaps_nothing(call: Call) -> bool:
    first, second = call.static("dim0"), call.static("dim1")
    return type(first) is int and first == second


def _flattens_nothing(call: Call) -> bool:
    first, last = call.static("start_dim"), call.static("end_dim")
    info = call.node.inputs[0].info
    # `flatten` of a scalar returns one dimension, whatever the arguments.
    if type(first) is int and first == last and (info is None or info.sizes != ()):
        return info is not None and info.sizes is not None
    return _keeps_shape(call)


def _has_one(call: Call) -> bool:
    producer = call.node.inputs[0].producer
    return (
        producer is not None
        and producer.operator == "prim::ListConstruct"
        and len(producer.inputs) == 1
    )


def _is_undone(call: Call) -> bool:
    """Whether a dimension of size 1, which was dropped, is put back."""
    producer, dim = call.node.inputs[0].producer, call.static("dim")
    if producer is None or producer.operator != "aten::squeeze.dim" or type(dim) is not int:
        return False
    before, dropped = producer.inputs[0].info, producer.inputs[1]
    if before is None or before.sizes is None or not 0 <= dim < len(before.sizes):
        return False
    return dropped.is_constant and dropped.constant == dim and before.sizes[dim] == 1


def _is_one(call: Call) -> bool:
    """Whether a tensor of floats is multiplied with, or divided by, the number 1."""
    info = call.node.inputs[0].info
    other = call.node.inputs[1]
    return (
        info is not None
        # An int tensor divided by 1 is a float tensor.
        and info.dtype in ("float32", "float64", "float16", "bfloat16")
        and other.is_constant
        and isinstance(other.constant, int | float)
        and other.constant == 1
        and call.static("rounding_mode") is not None
        and len(call.node.inputs) == 2
    )


_INNER: Final = frozenset({"aten::cat", "aten::unsqueeze"})
"""Operators that return the argument of what makes their argument."""
_COPYING: Final = frozenset(
    {"aten::cat", "aten::clone", "aten::div", "aten::mul", "aten::repeat", "aten::type_as"}
)
_RULES: Final[Mapping[str, Callable[[Call], bool]]] = {
    "aten::alias": _always,
    "aten::alpha_dropout": _is_evaluated,
    "aten::cat": _has_one,
    "aten::clone": _keeps_layout,
    "aten::detach": _always,
    "aten::div": _is_one,
    "aten::dropout": _is_evaluated,
    "aten::expand": _keeps_shape,
    "aten::expand_as": _keeps_shape,
    "aten::feature_alpha_dropout": _is_evaluated,
    "aten::feature_dropout": _is_evaluated,
    "aten::flatten": _flattens_nothing,
    "aten::mul": _is_one,
    "aten::permute": _keeps_order,
    "aten::requires_grad": _always,
    "aten::reshape": _keeps_shape,
    "aten::to": _converts_nothing,
    "aten::transpose": _swaps_nothing,
    "aten::type_as": _is_same_type,
    "aten::unsqueeze": _is_undone,
    "aten::view": _keeps_shape,
}
