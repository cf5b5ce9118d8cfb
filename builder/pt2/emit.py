"""Adds nodes to a graph: puts arguments into the order of a schema, with the release's defaults."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias, cast

from builder.core.schemas import Schema, SchemaArgument, Schemas
from builder.graph.graph import CONSTANT, Block, Node, TensorInfo, Value
from builder.lite.objects import Device, List, Storage, Tensor

Operand: TypeAlias = "Value | Tensor | Device | str | complex | Sequence[Operand] | None"
"""An argument before its schema is known: a value of the graph, or a constant."""

_TYPE = re.compile(
    r"(?P<base>[\w.]+)(?P<inner>\?)?(?:(?P<list>\[)(?P<count>\d*)\](?P<outer>\?)?)?", re.ASCII
)
_NAMES = {
    "Scalar": "number",
    "SymInt": "int",
    "ScalarType": "int",
    "Layout": "int",
    "MemoryFormat": "int",
    "QScheme": "int",
}
"""Types of ATen's schemas -> those of TorchScript, where they differ."""
_NUMBERS = ("int", "float", "bool", "number", "complex")
NEW_ARGUMENTS: Mapping[tuple[str, str], Operand] = {
    ("aten::_assert_tensor_metadata", "device"): None,
    ("aten::_assert_tensor_metadata", "layout"): None,
    ("aten::embedding_bag", "padding_idx"): None,
    ("aten::linalg_svd", "driver"): None,
    ("aten::scaled_dot_product_attention", "enable_gqa"): False,
    ("aten::scaled_dot_product_attention", "scale"): None,
}
"""Operator and an argument that a release may lack -> the only value that it may have then."""


class UnsupportedError(Exception):
    """A part of a program that builder cannot convert; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type in a schema."""

    base: str
    """Type of one item, in TorchScript's syntax."""
    optional: bool
    """Whether the whole may be None."""
    is_list: bool = False
    count: int = 0
    """Fixed number of items of a list; 0: any number."""
    optional_items: bool = False

    @property
    def item(self) -> str:
        """Type of an item in TorchScript's syntax."""
        return f"Optional[{self.base}]" if self.optional_items else self.base

    @property
    def text(self) -> str:
        """The type in TorchScript's syntax."""
        return f"List[{self.item}]" if self.is_list else self.base


@lru_cache(maxsize=1024)
def parse_kind(text: str) -> Kind:
    """Returns a type of ATen's syntax, such as `SymInt[2]?`; UnsupportedError for others."""
    match = _TYPE.fullmatch(text)
    if match is None:
        raise UnsupportedError(f"the type {text} is not supported")
    base = _NAMES.get(match["base"], match["base"])
    inner = match["inner"] is not None
    if match["list"] is None:
        return Kind(base, inner)
    return Kind(base, bool(match["outer"]), True, int(match["count"] or 0), inner)


@dataclass(slots=True, eq=False)
class Emitter:
    """The graph under construction."""

    schemas: Schemas
    block: Block
    """Where nodes are added."""
    constants: list[Node] = field(default_factory=list)
    """Constants of the whole graph, which stand before all other nodes."""
    origins: dict[Value, frozenset[str]] = field(default_factory=dict)
    """Tensor -> names of parameters and buffers whose memory it may share."""
    changed: set[str] = field(default_factory=set)
    """Names of parameters and buffers that a node changes."""
    _known: dict[tuple[object, ...], Value] = field(default_factory=dict)
    _overloads: dict[str, list[str]] = field(default_factory=dict)

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
            UnsupportedError: the release lacks the operator, or the arguments do not fit.
        """
        schema = self.schemas.find(operator)
        if schema is None:
            raise UnsupportedError("the release does not have it")
        arguments = _bind(schema, given, named)
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
        return self.constant(*_fit(operand, kind.base))

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
                return self.construct("prim::ListConstruct", items, f"List[{kinds.pop()}]")
            case Tensor():
                return self.constant(operand, "Tensor")
        return self.constant(operand, type(operand).__name__)

    def construct(self, operator: str, items: Sequence[Value], kind: str) -> Value:
        """Returns a new list, tuple or dict of the type `kind`."""
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
            constants = [None if item is None else _fit(item, kind.base)[0] for item in operand]
            return self.constant(List(kind.text, constants), kind.text)
        one = Kind(kind.base, kind.optional_items)
        items = [self.lower(item, one) for item in operand]
        return self.construct("prim::ListConstruct", items, kind.text)

    def _convert(self, value: Value, base: str) -> Value:
        """Returns a value as one of the type `base`, if TorchScript converts between the types."""
        is_number = value.type in _NUMBERS
        if value.type == base or base in ("t", "Any") or (base == "number" and is_number):
            return value
        if base == "Tensor" and is_number:
            return self.value("aten::scalar_tensor", value)
        found = f"aten::{base.capitalize()}.{value.type if value.type != 'number' else 'Scalar'}"
        if base in ("int", "float", "bool") and self.schemas.find(found):
            if base == "int" and value.type == "float":
                raise UnsupportedError("a float stands for an int")
            return self.value(found, value)
        raise UnsupportedError(f"a {value.type} stands for a {base}")

    def _choose(self, schema: Schema, arguments: list[Operand]) -> tuple[Schema, list[Operand]]:
        """Returns the overload that takes numbers where numbers stand for tensors, if there is."""
        if _fits(schema, arguments):
            return schema, arguments
        if not self._overloads:
            for name in self.schemas:
                self._overloads.setdefault(name.partition(".")[0], []).append(name)
        wanted = [argument.name for argument in schema.arguments]
        for name in self._overloads[schema.name.partition(".")[0]]:
            other = self.schemas.find(name)
            assert other is not None
            names = [argument.name for argument in other.arguments]
            if names == wanted and _fits(other, arguments):
                return other, arguments
        return schema, arguments

    def _trace_memory(
        self, schema: Schema, inputs: Sequence[Value], results: Sequence[Value]
    ) -> None:
        shared: set[str] = set()
        for argument, value in zip(schema.arguments, inputs, strict=True):
            origins = self._origins_of(value)
            if argument.mutable:
                self.changed |= origins
            if argument.aliases:
                shared |= origins
        if shared:
            self.origins.update(dict.fromkeys(results, frozenset(shared)))

    def _origins_of(self, value: Value) -> frozenset[str]:
        found = self.origins.get(value, frozenset())
        if value.producer is not None and value.producer.operator == "prim::ListConstruct":
            found = found.union(*map(self._origins_of, value.producer.inputs))
        return found


def _bind(schema: Schema, given: Sequence[Operand], named: Mapping[str, Operand]) -> list[Operand]:
    """Returns an operand for each argument of the schema."""
    named = dict(named)
    bound = list(given)
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
        operand.type in _NUMBERS
        if isinstance(operand, Value)
        else isinstance(operand, bool | int | float | complex)
    )
    return is_number != (kind.base == "Tensor")


def _fit(operand: Operand, base: str) -> tuple[object, str]:
    """Returns a constant with its type, converted as Python converts between numbers."""
    if base in ("t", "Any"):
        return operand, type(operand).__name__
    if base == "Tensor" and isinstance(operand, bool | int | float):
        return _make_scalar_tensor(operand), base
    kinds, convert = _CONSTANTS.get(base, ((), None))
    if not isinstance(operand, kinds):
        raise UnsupportedError(f"a {type(operand).__name__} stands for a {base}")
    if base == "number":
        return operand, type(operand).__name__
    return (operand if convert is None else convert(operand)), base


_CONSTANTS: Mapping[str, tuple[tuple[type, ...], Callable[[Any], object] | None]] = {
    "Tensor": ((Tensor,), None),
    "float": ((bool, int, float), float),
    "int": ((bool, int), int),
    "bool": ((bool,), None),
    "number": ((bool, int, float, complex), None),
    "complex": ((int, float, complex), complex),
    "str": ((str,), None),
    "Device": ((Device,), None),
}
"""Type in TorchScript's syntax -> types of Python that fit it, and what converts them."""


def _make_scalar_tensor(number: float) -> Tensor:
    """Returns a tensor without dimensions, of the dtype that PyTorch gives to a number."""
    dtype, layout = (
        ("bool", "?")
        if isinstance(number, bool)
        else ("int64", "q")
        if isinstance(number, int)
        else ("float32", "f")
    )
    data = memoryview(struct.pack("<" + layout, number))
    storage = Storage(dtype=dtype, elements=1, read=lambda: data)
    return Tensor(storage=storage, sizes=(), strides=())


def _tuple_type(items: Sequence[Value]) -> str:
    return f"Tuple[{', '.join(item.type for item in items)}]"
