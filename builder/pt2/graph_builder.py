"""Builds a graph: puts arguments into the order of a schema, with the release's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from builder.core.known import find_reason
from builder.core.operator_schemas import Schema, SchemaArgument, Schemas
from builder.graph.graph import CONSTANT, Block, Node, TensorInfo, Value
from builder.lite.objects import List, Tensor
from builder.pt2.kinds import NUMBERS, Kind, Operand, UnsupportedError, fit, parse_kind
from builder.pt2.memory import Memory

_LIST = "prim::ListConstruct"
NEW_ARGUMENTS: Mapping[tuple[str, str], Operand] = {
    ("aten::_assert_tensor_metadata", "device"): None,
    ("aten::_assert_tensor_metadata", "layout"): None,
    ("aten::embedding_bag", "padding_idx"): None,
    ("aten::linalg_svd", "driver"): None,
    ("aten::scaled_dot_product_attention", "enable_gqa"): False,
    ("aten::scaled_dot_product_attention", "scale"): None,
}
"""Operator and an argument that a release may lack -> the only value that it may have then."""


@dataclass(slots=True, eq=False)
class GraphBuilder:
    """The graph under construction."""

    schemas: Schemas
    raising: Mapping[str, str]
    """Patterns of names of operators that raise when called -> why."""
    block: Block
    """Where nodes are added."""
    constants: list[Node] = field(default_factory=list)
    """Constants of the whole graph, which stand before all other nodes."""
    memory: Memory = field(default_factory=Memory)
    _known: dict[tuple[object, ...], Value] = field(default_factory=dict)
    overloads: dict[str, list[str]] = field(default_factory=dict, init=False)
    """Operators of the release by their name without overload."""

    def __post_init__(self) -> None:
        for name in self.schemas:
            self.overloads.setdefault(name.partition(".")[0], []).append(name)

    def add(self, operator: str, inputs: Sequence[Value], types: Iterable[str]) -> list[Value]:
        """Adds a node with outputs of the given types, and returns these."""
        node = Node(operator, list(inputs), [Value(kind) for kind in types])
        self.block.nodes.append(node)
        return node.outputs

    def call(self, operator: str, /, *given: Operand, **named: Operand) -> list[Value]:
        """Adds a call of an operator, and returns its results.

        Args:
            operator: its name, such as `aten::add.Tensor`. An overload that takes a number is
                called where a number stands for a tensor.
            given: arguments in the order of the schema.
            named: other arguments.

        Raises:
            UnsupportedError: the release lacks the operator, the operator raises in every runtime,
                or the arguments do not fit.
        """
        if reason := find_reason(operator, self.raising):
            raise UnsupportedError(f"it {reason}")
        schema = self.schemas.find(operator)
        if schema is None:
            raise UnsupportedError("the release does not have it")
        arguments = _bind(schema, given, named)
        # torch.export may write a number where its own schema has a tensor, as in
        # `aten::mul.Tensor(x, 2)`.
        schema, arguments = self._choose(schema, arguments)
        inputs = [
            self.lower(operand, parse_kind(argument.type))
            for argument, operand in zip(schema.arguments, arguments, strict=True)
        ]
        results = self.add(schema.name, inputs, (parse_kind(one).text for one in schema.results))
        self._trace_memory(schema, inputs, results)
        return results

    def value(self, operator: str, /, *given: Operand, **named: Operand) -> Value:
        """Returns the only result of `call`."""
        (result,) = self.call(operator, *given, **named)
        return result

    def constant(self, value: object, kind: str) -> Value:
        """Returns a constant; equal numbers and strings are one value."""
        # 1, 1.0 and True are equal in Python, so the type is a part of the key.
        shown = tuple(value.items) if isinstance(value, List) else value
        key = (kind, type(value), repr(shown) if not isinstance(value, Tensor) else id(value))
        if key not in self._known:
            node = Node(CONSTANT, outputs=[Value(kind)], attributes={"value": value})
            self.constants.append(node)
            self._known[key] = node.output
            if isinstance(value, Tensor):
                node.output.info = TensorInfo(value.dtype, value.sizes)
        return self._known[key]

    def lower(self, operand: Operand, kind: Kind) -> Value:
        """Returns an argument as a value of the type `kind`.

        Raises:
            UnsupportedError: it has another type.
        """
        if operand is None:
            if not kind.optional:
                raise UnsupportedError(f"None stands for a {kind.text}")
            return self.constant(None, "NoneType")
        if kind.is_list:
            return self._lower_list(operand, kind)
        if isinstance(operand, list | tuple):
            raise UnsupportedError(f"a list stands for a {kind.text}")
        if isinstance(operand, Value):
            return self._convert(operand, kind.base)
        return self.constant(*fit(operand, kind.base))

    def as_value(self, operand: Operand) -> Value:
        """Returns an operand of any type as a value."""
        match operand:
            case Value():
                return operand
            case None:
                return self.constant(None, "NoneType")
            case list() | tuple():
                items = [self.as_value(item) for item in operand]
                kinds = {item.type for item in items} or {"Tensor"}
                if len(kinds) > 1:
                    return self.construct("prim::TupleConstruct", items, _tuple_type(items))
                return self.construct(_LIST, items, f"List[{kinds.pop()}]")
            case Tensor():
                return self.constant(operand, "Tensor")
        return self.constant(operand, type(operand).__name__)

    def construct(self, operator: str, items: Sequence[Value], kind: str) -> Value:
        """Returns a new list, tuple or dict of the type `kind`."""
        # Only a named tuple has a type of its own (see the table in graph/graph.py).
        attributes: dict[str, object] = {} if operator == "prim::TupleConstruct" else {"type": kind}
        node = Node(operator, list(items), [Value(kind)], attributes)
        self.block.nodes.append(node)
        return node.output

    def _lower_list(self, operand: Operand, kind: Kind) -> Value:
        if isinstance(operand, Value) and operand.type.startswith("List["):
            return operand
        if not isinstance(operand, list | tuple):
            operand = [operand] * max(kind.count, 1)
        # One default stands for all items of a list with a fixed length.
        if kind.count and len(operand) == 1:
            operand = [operand[0]] * kind.count
        if kind.base != "Tensor" and not any(isinstance(item, Value) for item in operand):
            constants = [None if item is None else fit(item, kind.base)[0] for item in operand]
            return self.constant(List(kind.text, constants), kind.text)
        one = Kind(kind.base, kind.optional_items)
        items = [self.lower(item, one) for item in operand]
        return self.construct(_LIST, items, kind.text)

    def _convert(self, value: Value, base: str) -> Value:
        """Returns a value as one of the type `base`, if TorchScript converts between the types."""
        is_number = value.type in NUMBERS
        if value.type == base or base in ("t", "Any") or (base == "number" and is_number):
            return value
        if base == "Tensor" and is_number:
            return self.value("aten::scalar_tensor", value)
        # TorchScript's conversions are named after the target, with the source as the overload:
        # `aten::Int.bool`.
        found = f"aten::{base.capitalize()}.{value.type if value.type != 'number' else 'Scalar'}"
        if base in ("int", "float", "bool") and self.schemas.find(found):
            # Python does not convert a float silently either, and the fraction would be lost.
            if base == "int" and value.type == "float":
                raise UnsupportedError("a float stands for an int")
            return self.value(found, value)
        raise UnsupportedError(f"a {value.type} stands for a {base}")

    def _choose(self, schema: Schema, arguments: list[Operand]) -> tuple[Schema, list[Operand]]:
        """Returns the overload that takes numbers where numbers stand for tensors, if there is."""
        if _fits(schema, arguments):
            return schema, arguments
        wanted = [argument.name for argument in schema.arguments]
        for name in self.overloads[schema.name.partition(".")[0]]:
            other = self.schemas.find(name)
            assert other is not None
            names = [argument.name for argument in other.arguments]
            if names == wanted and _fits(other, arguments):
                return other, arguments
        return schema, arguments

    def _trace_memory(
        self, schema: Schema, inputs: Sequence[Value], results: Sequence[Value]
    ) -> None:
        shared: list[Value] = []
        for argument, value in zip(schema.arguments, inputs, strict=True):
            is_list = value.producer is not None and value.producer.operator == _LIST
            # A list of tensors shares the memory of each.
            parts = value.producer.inputs if is_list and value.producer else [value]
            if argument.mutable:
                self.memory.change(parts)
            if argument.aliases:
                shared += parts
        self.memory.share(shared, results)


def _bind(schema: Schema, given: Sequence[Operand], named: Mapping[str, Operand]) -> list[Operand]:
    """Returns an operand for each argument of the schema."""
    named = dict(named)
    bound = list(given)
    # A release may have more arguments than the torch that exported; their defaults keep the
    # meaning.
    for argument in schema.arguments[len(given) :]:
        if argument.name in named:
            bound.append(named.pop(argument.name))
        elif argument.has_default:
            bound.append(cast(Operand, argument.default))
        else:
            raise UnsupportedError(f"the release wants the argument {argument.name}")
    for name, operand in named.items():
        key = (schema.name, name)
        if key not in NEW_ARGUMENTS:
            raise UnsupportedError(f"the release does not have its argument {name!r:.60}")
        # An argument may be left out only with the value for which it does nothing.
        if operand != NEW_ARGUMENTS[key]:
            raise UnsupportedError(
                f"the release does not have its argument {name}, which is not "
                f"{NEW_ARGUMENTS[key]} here"
            )
    return bound


def _fits(schema: Schema, arguments: Sequence[Operand]) -> bool:
    """Whether tensors stand where the schema has tensors, and only there."""
    return all(map(_is_right, schema.arguments, arguments))


def _is_right(argument: SchemaArgument, operand: Operand) -> bool:
    kind = parse_kind(argument.type)
    if kind.is_list or operand is None:
        return True
    is_number = (
        operand.type in NUMBERS
        if isinstance(operand, Value)
        else isinstance(operand, bool | int | float | complex)
    )
    return is_number != (kind.base == "Tensor")


def _tuple_type(items: Sequence[Value]) -> str:
    return f"Tuple[{', '.join(item.type for item in items)}]"
