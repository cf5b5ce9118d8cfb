"""Turns nodes without blocks into instructions, and fills the tables that these refer to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from builder.core.operator_schemas import Schema, Schemas
from builder.errors import ModelError
from builder.graph.calls import count_outs, find_schema, leave_out_defaults
from builder.graph.graph import CONSTANT, GET_ATTR, IF, LOOP, SET_ATTR, Node, Value
from builder.graph.opcodes import (
    DICT_GET,
    DICT_INDEX,
    FIRST_COUNTED,
    FIRST_PROMOTED,
    FIRST_WITH_OUT,
    FORMAT,
    OPCODES,
    TO_LIST,
    TUPLE_UNPACK,
    WARN,
    upgraded_arguments,
)
from builder.graph.types import parts_of
from builder.lite.model import Callee, Instruction

_MOST = 0xFFFF
"""Largest second operand of an instruction (instruction.h)."""


@dataclass(slots=True, eq=False)
class Encoder:
    """The tables of one function, which grow with each node."""

    function: str
    """Name of the function, for messages."""
    schemas: Schemas
    version: int
    """Operator version of the model."""
    bytecode: int = FIRST_PROMOTED
    """The bytecode version to write."""
    callees: dict[Callee, int] = field(default_factory=dict)
    constants: list[object] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    _constants: dict[object, int] = field(default_factory=dict)
    _types: dict[tuple[str, ...], int] = field(default_factory=dict)

    def encode(self, node: Node) -> Instruction:
        """Returns the instruction for a node whose inputs are on the stack.

        Raises:
            ModelError: there is none, such as for a list of more than 65,535 items.
        """
        promoted = node.operator in OPCODES or node.operator == FORMAT
        # Before bytecode version 8, these were calls of operators.
        if promoted and not self._promotes(node):
            return self._encode_call(node)
        if node.operator in OPCODES:
            return Instruction(OPCODES[node.operator])
        encode = _ENCODERS.get(node.operator)
        return self._encode_call(node) if encode is None else encode(self, node)

    def inputs(self, node: Node) -> Sequence[Value]:
        """Returns the inputs that must be on the stack: trailing defaults are left out."""
        # The runtime's own forms of promoted operators take all arguments.
        if node.operator in OPCODES or node.operator in _OTHERS or node.operator in _ENCODERS:
            return node.inputs
        schema = self._schema(node.operator)
        # The upgrader takes exactly the arguments that the older schema had.
        if schema.variadic or upgraded_arguments(node.operator, self.version) is not None:
            return node.inputs
        if len(node.inputs) != len(schema.arguments):
            raise self.refuse(
                f"{node.operator} has {len(node.inputs)} inputs instead of {len(schema.arguments)}"
            )
        first = FIRST_WITH_OUT if count_outs(schema) else FIRST_COUNTED
        return node.inputs if self.bytecode < first else leave_out_defaults(schema, node.inputs)

    def constant(self, value: object) -> int:
        """Returns the number of a constant."""
        # The list keeps all constants alive, so an id is never used again.
        key: tuple[object, ...] = (type(value), id(value))
        if isinstance(value, (type(None), bool, int, str)):
            key = (type(value), value)
        elif isinstance(value, (float, complex)):
            # The text tells -0.0 from 0.0. Equal lists are kept apart: code may change one.
            key = (type(value), repr(value))
        if key not in self._constants:
            self._constants[key] = len(self.constants)
            self.constants.append(value)
        return self._constants[key]

    def types_of(self, *kinds: str) -> int:
        """Returns the number of the first of some types that stand together in the table."""
        if kinds not in self._types:
            self._types[kinds] = len(self.types)
            # ISINSTANCE names the first of several types, which have to stand side by side.
            self.types.extend(kinds)
        return self._types[kinds]

    def number(self, count: int) -> int:
        """Returns `count` if an instruction can have it as its second operand."""
        if not 0 <= count <= _MOST:
            raise self.refuse(f"an instruction can have {_MOST:,} values, but not {count:,}")
        return count

    def refuse(self, why: str) -> ModelError:
        """Returns the error for a graph that bytecode has no form for."""
        return ModelError(f"{self.function} cannot be written as bytecode: {why}")

    @property
    def _counts(self) -> bool:
        return self.bytecode >= FIRST_COUNTED

    def _name_dict_index(self, node: Node) -> str:
        kinds = parts_of(node.inputs[0].type, "Dict")
        operator = f"{DICT_GET}{kinds[0]}" if kinds else ""
        if self.schemas.find(operator) is None:
            raise self.refuse(
                f"bytecode of version {self.bytecode} needs the type of a dict that is not known"
            )
        return operator

    def _promotes(self, node: Node) -> bool:
        # Converting to lists has never been an operator.
        return self.bytecode >= FIRST_PROMOTED or node.operator == TO_LIST

    def _encode_call(self, node: Node) -> Instruction:
        operator = self._name_dict_index(node) if node.operator == DICT_INDEX else node.operator
        name, _, overload = operator.partition(".")
        if self._schema(operator).variadic and node.operator != TUPLE_UNPACK:
            callee = Callee(name, overload)
            # OPN has the count in the instruction, so calls with different counts share one entry.
            number = self.callees.setdefault(callee, len(self.callees))
            return Instruction("OPN", number, self.number(len(node.inputs)))
        if node.operator == TUPLE_UNPACK and not node.outputs:
            # Bytecode does not tell how many items a tuple has.
            raise self.refuse("an empty tuple cannot be unpacked")
        count = len(self.inputs(node)) if self._counts else None
        callee = Callee(name, overload, count)
        return Instruction("OP", self.callees.setdefault(callee, len(self.callees)))

    def _schema(self, operator: str) -> Schema:
        schema = find_schema(self.schemas, operator)
        if schema is None:
            raise self.refuse(f"the schema of {operator} is not known")
        return schema


def _container(opcode: str) -> Callable[[Encoder, Node], Instruction]:
    def encode(encoder: Encoder, node: Node) -> Instruction:
        kind = node.attributes["type"]
        assert isinstance(kind, str)
        return Instruction(opcode, encoder.types_of(kind), encoder.number(len(node.inputs)))

    return encode


def _operand(opcode: str, attribute: str) -> Callable[[Encoder, Node], Instruction]:
    return lambda _, node: Instruction(opcode, _int(node, attribute))


def _tuple(encoder: Encoder, node: Node) -> Instruction:
    if "type" in node.attributes:
        return _container("NAMED_TUPLE_CONSTRUCT")(encoder, node)
    return Instruction("TUPLE_CONSTRUCT", len(node.inputs))


def _slice_tuple(encoder: Encoder, node: Node) -> Instruction:
    begin, end = _int(node, "begin"), _int(node, "end")
    return Instruction("TUPLE_SLICE", begin, encoder.number(end - begin))


def _create(encoder: Encoder, node: Node) -> Instruction:
    kind = node.attributes["type"]
    assert isinstance(kind, str)
    return Instruction("CREATE_OBJECT", encoder.types_of(kind))


def _is_instance(encoder: Encoder, node: Node) -> Instruction:
    kinds = node.attributes["types"]
    assert isinstance(kinds, tuple)
    return Instruction("ISINSTANCE", encoder.types_of(*kinds), encoder.number(len(kinds)))


def _method(encoder: Encoder, node: Node) -> Instruction:
    name = encoder.constant(node.attributes["name"])
    return Instruction("INTERFACE_CALL", name, encoder.number(len(node.inputs)))


def _int(node: Node, name: str) -> int:
    value = node.attributes.get(name)
    assert isinstance(value, int), f"{node.operator} lacks {name}"
    return value


_OTHERS = frozenset({CONSTANT, IF, LOOP})
_ENCODERS: dict[str, Callable[[Encoder, Node], Instruction]] = {
    GET_ATTR: _operand("GET_ATTR", "slot"),
    SET_ATTR: _operand("SET_ATTR", "slot"),
    WARN: _operand("WARN", "id"),
    FORMAT: lambda _, node: Instruction("FORMAT", len(node.inputs)),
    "prim::ListConstruct": _container("LIST_CONSTRUCT"),
    "prim::DictConstruct": _container("DICT_CONSTRUCT"),
    "prim::TupleConstruct": _tuple,
    "prim::ListUnpack": lambda _, node: Instruction("LIST_UNPACK", len(node.outputs)),
    "prim::TupleSlice": _slice_tuple,
    "prim::CreateObject": _create,
    "prim::isinstance": _is_instance,
    "prim::CallMethod": _method,
}
