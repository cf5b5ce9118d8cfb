"""Arguments of operators by name, and values that are known before the model runs."""

from __future__ import annotations

from typing import Final

from builder.core.schemas import Schema, SchemaArgument, Schemas
from builder.graph.graph import Node, Value
from builder.graph.opcodes import upgraded_arguments
from builder.lite.objects import CustomObject, List, ScriptObject, Tensor

PURE_CONSTRUCTS: Final = frozenset(
    {
        "prim::Constant",
        "prim::DictConstruct",
        "prim::DictIndex",
        "prim::GetAttr",
        "prim::ListConstruct",
        "prim::ListUnpack",
        "prim::TupleConstruct",
        "prim::TupleIndex",
        "prim::TupleSlice",
        "prim::TupleUnpack",
        "prim::Uninitialized",
        "prim::isinstance",
        "prim::unchecked_cast",
    }
)
"""Constructs of the language that change nothing. A failing index is no effect, as in torch."""
CALLS: Final = frozenset({"prim::CallFunction", "prim::CallMethod"})
CONSTRUCTS: Final = (
    PURE_CONSTRUCTS
    | CALLS
    | {
        "prim::CreateObject",
        "prim::Enter",
        "prim::Exit",
        "prim::If",
        "prim::Loop",
        "prim::RaiseException",
        "prim::SetAttr",
    }
)
"""All nodes that are not operators (see builder/graph/graph.py)."""
_LONGEST = 1000
"""Items of a list whose items are looked at."""
UNKNOWN: Final = object()
"""Stands for a value that depends on the inputs of the model."""


class Call:
    """A node that calls an operator of the release."""

    __slots__ = ("_positions", "node", "schema")

    def __init__(self, node: Node, schema: Schema) -> None:
        self.node = node
        self.schema = schema
        self._positions = {argument.name: i for i, argument in enumerate(schema.arguments)}

    @property
    def name(self) -> str:
        """Name of the operator without its overload, such as `aten::add`."""
        return self.node.operator.partition(".")[0]

    def value(self, name: str) -> Value | None:
        """Returns the value that is given for an argument; None if none is given."""
        position = self._positions.get(name)
        if position is None or position >= len(self.node.inputs):
            return None
        return self.node.inputs[position]

    def static(self, name: str) -> object:
        """Returns an argument as `static` does, or its default; UNKNOWN if it has neither."""
        value = self.value(name)
        if value is not None:
            return static(value)
        position = self._positions.get(name)
        return UNKNOWN if position is None else _default(self.schema.arguments[position])

    def integers(self, name: str, length: int | None = None) -> tuple[int, ...] | None:
        """Returns a list of integers; None if it is not known, or not a list of integers.

        With `length`, a single integer stands for as many equal ones, as in ATen.
        """
        found = self.static(name)
        if isinstance(found, int) and not isinstance(found, bool):
            found = [found] * (length or 1)
        if not isinstance(found, list) or not all(type(item) is int for item in found):
            return None
        if length is not None and len(found) == 1:
            found = found * length
        return tuple(found) if length is None or len(found) == length else None

    def tensor(self, name: str) -> Tensor | None:
        """Returns a tensor that is constant; None if it is not."""
        found = self.static(name)
        return found if isinstance(found, Tensor) else None


def find_call(node: Node, schemas: Schemas) -> Call | None:
    """Returns the call that `node` makes; None if it is no operator of the release."""
    if node.operator in CONSTRUCTS:
        return None
    schema = schemas.find(node.operator)
    return None if schema is None else Call(node, schema)


def find_fault(node: Node, schemas: Schemas, operator_version: int) -> str | None:
    """Says why a node has other inputs or outputs than its operator; None if it has the same.

    Calls have all arguments, also those that are defaults. Only those of operators that the
    runtime upgrades from an older version may lack some.
    """
    inputs, outputs = _INPUTS.get(node.operator), None
    if node.operator in CONSTRUCTS:
        outputs = 1 if node.operator in _SINGLE else None
    else:
        schema = schemas.find(node.operator)
        if schema is None or schema.variadic:
            return None
        upgraded = upgraded_arguments(node.operator, operator_version)
        inputs = len(schema.arguments) if upgraded is None else upgraded
        outputs = len(schema.results)
    for what, found, wanted in (
        ("inputs", node.inputs, inputs),
        ("outputs", node.outputs, outputs),
    ):
        if wanted is not None and len(found) != wanted:
            return f"{node.operator} has {len(found)} {what} instead of {wanted}"
    return None


_INPUTS: Final = {
    "prim::Constant": 0,
    "prim::DictIndex": 2,
    "prim::GetAttr": 1,
    "prim::If": 1,
    "prim::ListUnpack": 1,
    "prim::SetAttr": 2,
    "prim::TupleIndex": 2,
    "prim::TupleSlice": 1,
    "prim::TupleUnpack": 1,
    "prim::isinstance": 1,
    "prim::unchecked_cast": 1,
}
"""Constructs with a fixed number of inputs."""
_SINGLE: Final = PURE_CONSTRUCTS - {"prim::ListUnpack", "prim::TupleUnpack"}
"""Constructs with one output."""


def static(value: Value) -> object:
    """Returns what a constant holds; UNKNOWN for any other value.

    Lists are Python lists. The items are their own: a list that a model changes is not constant.
    """
    if not value.is_constant:
        return UNKNOWN
    return thaw(value.constant)


def thaw(constant: object, depth: int = 2) -> object:
    """Returns a constant with lists as Python lists; UNKNOWN if it holds something else.

    Long lists, and lists in lists in lists, are no arguments of the operators that are of interest.
    """
    match constant:
        case None | bool() | int() | float() | complex() | str() | Tensor() | CustomObject():
            return constant
        case ScriptObject(may_be_enum=True):
            return constant
        case List() if depth and len(constant.items) <= _LONGEST:
            items = [thaw(item, depth - 1) for item in constant.items]
            return UNKNOWN if any(item is UNKNOWN for item in items) else items
        case tuple() if depth and len(constant) <= _LONGEST:
            found = tuple(thaw(item, depth - 1) for item in constant)
            return UNKNOWN if any(item is UNKNOWN for item in found) else found
        case _:
            return UNKNOWN


def _default(argument: SchemaArgument) -> object:
    if not argument.has_default:
        return UNKNOWN
    default = argument.default
    if isinstance(default, tuple):
        return list(default)
    return default
