"""What a node does besides making its outputs."""

from __future__ import annotations

from builder.core.operator_schemas import Schema, Schemas
from builder.graph.graph import Node
from builder.graph.operands import PURE_CONSTRUCTS, find_call

_RANDOM = frozenset(
    {
        "bernoulli",
        "binomial",
        "cauchy_",
        "exponential_",
        "geometric_",
        "log_normal_",
        "multinomial",
        "normal",
        "normal_",
        "poisson",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "random_",
        "randperm",
        "rrelu",
        "uniform_",
    }
)
_MAY_DRAW = frozenset(
    {
        "dropout",
        "native_dropout",
        "alpha_dropout",
        "feature_dropout",
        "feature_alpha_dropout",
        "scaled_dot_product_attention",
        "_scaled_dot_product_attention",
        "gru",
        "lstm",
        "rnn_relu",
        "rnn_tanh",
    }
)
"""Operators that draw random numbers when they train or have a probability."""
_ACTING = frozenset({"warn", "manual_seed", "save", "wait", "set_grad_enabled", "_record_function"})
"""Operators that act on the world, and whose schemas do not show it."""


def may_draw(operator: str) -> bool:
    """Whether an operator such as `aten::rand` may draw random numbers."""
    name = operator.partition("::")[2].partition(".")[0]
    return name in _RANDOM or name in _MAY_DRAW


def is_pure(node: Node, schemas: Schemas) -> bool:
    """Whether `node` can be left out when nothing uses its outputs.

    Operators that draw random numbers are not pure: without them, later ones draw other numbers.
    Unknown operators are not pure. Branches and loops are not looked into, and are not pure.
    """
    if node.blocks:
        return False
    if node.operator in PURE_CONSTRUCTS:
        return True
    call = find_call(node, schemas)
    if call is None or not call.schema.is_pure or not call.schema.results:
        return False
    base = _base(node.operator)
    if base in _RANDOM or base in _ACTING:
        return False
    # While training it writes the running statistics, which its schema does not say.
    if base == "batch_norm":
        return call.static("training") is False
    return base not in _MAY_DRAW or _draws_nothing(node, call.schema)


def _draws_nothing(node: Node, schema: Schema) -> bool:
    for name in ("train", "training", "dropout_p", "p", "dropout"):
        index = schema.positions.get(name)
        # These operators do not have the same arguments; each has one or two of the names.
        if index is None or index >= len(node.inputs):
            continue
        value = node.inputs[index]
        # False, 0.0 and 0 all mean that nothing is drawn.
        if value.is_constant and not value.constant:
            return True
    return False


def _base(operator: str) -> str:
    return operator.partition("::")[2].partition(".")[0]
