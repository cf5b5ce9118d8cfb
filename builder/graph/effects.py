"""What a node does besides making its outputs."""

from __future__ import annotations

import re

from builder.core.operator_schemas import Schema, Schemas
from builder.graph.graph import Node, Value
from builder.graph.operands import PURE_CONSTRUCTS, Call, find_call

_RANDOM = frozenset(
    {
        "normal",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "randperm",
    }
)
"""Operators that draw random numbers, and whose schemas need not have a generator."""
_DRAWING = re.compile(
    "attention|bernoulli|binomial|cauchy|dirichlet|dropout|exponential|geometric|gru|lstm"
    "|multinomial|normal|poisson|rand|rnn|rrelu|seed|sdp|standard_gamma|uniform"
)
"""Parts of the names of all operators that may draw random numbers."""
_ACTING = frozenset({"warn", "manual_seed", "save", "wait", "set_grad_enabled", "_record_function"})
"""Operators that act on the world, and whose schemas do not show it."""
_DROPOUT = frozenset({"dropout", "dropout_p"})
"""Arguments that are probabilities."""
_TRAINING = ("training", "use_input_stats")


def may_draw(operator: str) -> bool:
    """Whether an operator such as `aten::rand`, of whose schema nothing is known, may draw."""
    return _DRAWING.search(_base(operator)) is not None


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
    if _always_draws(call.schema) or _base(node.operator) in _ACTING:
        return False
    if find_statistics(call):
        return False
    return not _has_dropout(call.schema) or _draws_nothing(call)


def find_statistics(call: Call) -> list[Value]:
    """Returns the running statistics that a norm writes, which its schema need not say."""
    positions = call.schema.positions
    if "running_mean" not in positions or "_no_" in call.name:
        return []
    if any(name in positions and call.static(name) is False for name in _TRAINING):
        return []
    given = [call.value(name) for name in ("running_mean", "running_var")]
    return [
        value
        for value in given
        if value is not None and not (value.is_constant and value.constant is None)
    ]


def _always_draws(schema: Schema) -> bool:
    return _base(schema.name) in _RANDOM or any(
        argument.type in ("Generator", "Generator?") for argument in schema.arguments
    )


def _has_dropout(schema: Schema) -> bool:
    # Layers such as `lstm` and attention have it as an argument.
    return "dropout" in _base(schema.name) or not _DROPOUT.isdisjoint(schema.positions)


def _draws_nothing(call: Call) -> bool:
    names: tuple[str, ...] = ("train", "training")
    # This one draws also with the probability 0; its `train` may be None, which means True.
    if call.name != "aten::native_dropout":
        names += ("p", *_DROPOUT)
    # These operators do not have the same arguments; each has one or two of the names.
    given = [call.static(name) for name in names]
    return any(isinstance(value, bool | int | float) and not value for value in given)


def _base(operator: str) -> str:
    return operator.partition("::")[2].partition(".")[0]
