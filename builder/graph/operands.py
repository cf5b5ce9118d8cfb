"""Arguments of operators by name, and values that are known before the model runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from builder.core.operator_schemas import Schema, SchemaArgument, Schemas
from builder.graph.graph import Node, Value
from builder.graph.opcodes import upgraded_arguments
from builder.lite.objects import PLAIN, CustomObject, Device, List, ScriptObject, Tensor, parts_of

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
_LONGEST = 256
"""Items of a list, and of the lists in it, that are looked at."""
UNKNOWN: Final = object()
"""Stands for a value that depends on the inputs of the model."""


class Call:
    """A node that calls an operator of the release."""

    __slots__ = ("node", "schema")

    def __init__(self, node: Node, schema: Schema) -> None:
        self.node = node
        self.schema = schema

    @property
    def name(self) -> str:
        """Name of the operator without its overload, such as `aten::add`.

        An overload of another meaning keeps its whole name: one that writes its result into an
        argument, such as `aten::add.out`, and `aten::view.dtype`, which keeps the bytes and changes
        the dtype. What is true of the others is not true of it.
        """
        operator = self.node.operator
        if self.schema.writes_result or operator == "aten::view.dtype":
            return operator
        return operator.partition(".")[0]

    def value(self, name: str) -> Value | None:
        """Returns the value that is given for an argument; None if none is given."""
        position = self.schema.positions.get(name)
        if position is None or position >= len(self.node.inputs):
            return None
        return self.node.inputs[position]

    def static(self, name: str) -> object:
        """Returns an argument as `static` does, or its default; UNKNOWN if it has neither."""
        value = self.value(name)
        if value is not None:
            return static(value)
        position = self.schema.positions.get(name)
        return UNKNOWN if position is None else _default(self.schema.arguments[position])

    def integers(self, name: str, length: int | None = None) -> tuple[int, ...] | None:
        """Returns a list of integers; None if it is not known, or not a list of integers.

        With `length`, a single integer stands for as many equal ones, as in ATen.
        """
        found = self.static(name)
        # ATen's `int[2]` accepts one number for both.
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
        # Nothing is known about an operator that the release does not have.
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


def thaw(constant: object) -> object:
    """Returns a constant with lists as Python lists; UNKNOWN if it holds something else.

    Lists with many items, and lists in lists in lists, are no arguments of the operators that are
    of interest.
    """
    match constant:
        case List(items=parts) | (tuple() as parts):
            return _thaw_all(constant, parts)
        case _:
            return constant if _stands_for_itself(constant) else UNKNOWN


def _thaw_all(container: object, parts: Collection[object]) -> object:
    """Returns a list or tuple as `thaw` does; it is often asked, so the time is bounded."""
    if len(parts) > _LONGEST:
        return UNKNOWN
    # This is the usual case, and needs no look at each item.
    if PLAIN.issuperset(map(type, parts)):
        return list(parts) if isinstance(container, List) else tuple(parts)
    left = _LONGEST
    found: list[object] = []
    for part in parts:
        inner = parts_of(part) if isinstance(part, List | tuple) else (part,)
        left -= len(inner)
        if left < 0 or not all(map(_stands_for_itself, inner)):
            return UNKNOWN
        found.append(list(inner) if isinstance(part, List) else part)
    return found if isinstance(container, List) else tuple(found)


def _stands_for_itself(constant: object) -> bool:
    if type(constant) in PLAIN or isinstance(constant, Tensor | CustomObject | Device):
        return True
    return isinstance(constant, ScriptObject) and constant.may_be_enum


def _default(argument: SchemaArgument) -> object:
    if not argument.has_default:
        return UNKNOWN
    default = argument.default
    # Schemas are frozen and hold tuples. Constants of a graph are lists.
    if isinstance(default, tuple):
        return list(default)
    return default
