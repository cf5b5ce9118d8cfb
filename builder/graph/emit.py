"""Writes the instructions of one function."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from builder.core.schemas import Schema, Schemas
from builder.errors import ModelError
from builder.graph.calls import leave_out_defaults
from builder.graph.graph import CONSTANT, GET_ATTR, IF, LOOP, SET_ATTR, Block, Graph, Node, Value
from builder.graph.opcodes import (
    FORMAT,
    OPCODES,
    TUPLE_UNPACK,
    UNLISTED,
    WARN,
    upgraded_arguments,
)
from builder.graph.placing import Registers, count_uses, find_inline
from builder.lite.model import Callee, Function, Instruction

_MOST = 0xFFFF
"""Largest second operand of an instruction (instruction.h)."""
_Steps = Generator["_Steps", None, None]
"""What is still to be written: each generator yields others that come first. So the nesting of a
model does not nest calls of Python."""


def emit_function(graph: Graph, schemas: Schemas, operator_version: int) -> Function:
    """Returns the bytecode of a graph; raises ModelError as `lower_program` does."""
    return _Emitter(graph, schemas, operator_version).emit()


@dataclass(slots=True, eq=False)
class _Emitter:
    graph: Graph
    schemas: Schemas
    version: int
    code: list[Instruction] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    handle: int = -1
    callees: dict[Callee, int] = field(default_factory=dict)
    constants: list[object] = field(default_factory=list)
    constant_numbers: dict[object, int] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    type_numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    registers: Registers = field(default_factory=Registers)
    places: dict[Value, int] = field(default_factory=dict)
    """The register of each value that is in one."""
    depths: dict[Value, int] = field(default_factory=dict)
    """How many nodes surround the block of each value that is in a register."""
    around: list[list[Value]] = field(default_factory=list)
    """For each node that surrounds the current block: values whose last use was inside of it."""
    uses: dict[Value, int] = field(default_factory=dict)
    """How many uses of each value are still to come."""
    inline: set[Node] = field(default_factory=set)

    def emit(self) -> Function:
        graph = self.graph
        self.uses = count_uses(graph, self._inputs)
        self.inline = find_inline(graph, self._inputs, self.uses)
        _run(self._block(graph.block))
        self.handle = -1
        self._write("RET")
        known = any(handle != -1 for handle in self.handles)
        arguments = graph.arguments
        typed = all(argument.type for argument in arguments)
        return Function(
            name=graph.name,
            instructions=tuple(self.code),
            callees=tuple(self.callees),
            constants=tuple(self.constants),
            types=tuple(self.types),
            registers=self.registers.size,
            # Files of old versions do not tell the types, and none may be left out.
            arguments=arguments if typed else None,
            results=graph.results if typed else None,
            debug_handles=tuple(self.handles) if known else None,
        )

    # Blocks and nodes

    def _block(self, block: Block) -> _Steps:
        self._store(block.inputs)
        for node in block.nodes:
            if node.operator != CONSTANT and node not in self.inline:
                yield self._node(node)
                self._store(node.outputs)
                self.handle = -1
        for value in block.outputs:
            yield from self._use(value)

    def _node(self, node: Node) -> _Steps:
        """Writes a node with the nodes that leave their outputs on the stack for it."""
        if node.operator == LOOP:
            self._write_at(node, "LOADC", self._constant(0))
        for value in self._inputs(node):
            self.handle = node.debug_handle
            yield from self._use(value)
        self.handle = node.debug_handle
        if node.operator == IF:
            yield self._if(node)
        elif node.operator == LOOP:
            yield self._loop(node)
        else:
            self._step(node)

    def _use(self, value: Value) -> _Steps:
        """Puts a value onto the stack."""
        producer = value.producer
        if producer is not None and producer.operator == CONSTANT:
            self._write("LOADC", self._constant(producer.attributes["value"]))
            return
        if producer in self.inline:
            yield self._node(producer)
            return
        register = self.places[value]
        self.uses[value] -= 1
        last = not self.uses[value]
        depth = self.depths[value]
        if last and depth == len(self.around):
            self._write("MOVE", register)
            self.registers.release(register)
            return
        self._write("LOAD", register)
        if last:
            # A loop may read it again, and the other branch does not clear it.
            self.around[depth].append(value)

    def _if(self, node: Node) -> _Steps:
        start = self._write("JF")
        self.around.append([])
        yield self._block(node.blocks[0])
        self.handle = node.debug_handle
        skip = self._write("JMP")
        self._patch(start, len(self.code) - start)
        yield self._block(node.blocks[1])
        self.handle = node.debug_handle
        self._patch(skip, len(self.code) - skip)
        self._clear(self.around.pop())

    def _loop(self, node: Node) -> _Steps:
        start = self._write("LOOP", 0, self._number(len(node.inputs)))
        self.around.append([])
        yield self._block(node.blocks[0])
        self.handle = node.debug_handle
        self._write("JMP", start - len(self.code))
        self._patch(start, len(self.code) - start)
        self._clear(self.around.pop())

    def _clear(self, values: Sequence[Value]) -> None:
        for value in values:
            self._write("DROPR", self.places[value])
            self.registers.release(self.places[value])

    def _store(self, values: Sequence[Value]) -> None:
        """Stores what is on the stack in registers; drops what nobody uses."""
        if len(values) == 1 and not self.uses.get(values[0]):
            self._write("DROP")
            return
        if not values:
            return
        first = self.registers.take(self._number(len(values)))
        if len(values) == 1:
            self._write("STORE", first)
        else:
            self._write("STOREN", first, len(values))
        for register, value in enumerate(values, first):
            self.places[value] = register
            self.depths[value] = len(self.around)
        self._clear([value for value in values if not self.uses.get(value)])

    # Single steps

    def _step(self, node: Node) -> None:
        count = len(node.inputs)
        match node.operator:
            case "prim::ListConstruct":
                self._write("LIST_CONSTRUCT", self._type(node), self._number(count))
            case "prim::DictConstruct":
                self._write("DICT_CONSTRUCT", self._type(node), self._number(count))
            case "prim::TupleConstruct" if "type" in node.attributes:
                self._write("NAMED_TUPLE_CONSTRUCT", self._type(node), self._number(count))
            case "prim::TupleConstruct":
                self._write("TUPLE_CONSTRUCT", count)
            case "prim::ListUnpack":
                self._write("LIST_UNPACK", len(node.outputs))
            case "prim::TupleSlice":
                begin, end = (self._operand(node, name) for name in ("begin", "end"))
                self._write("TUPLE_SLICE", begin, self._number(end - begin))
            case "prim::CreateObject":
                self._write("CREATE_OBJECT", self._type(node))
            case "prim::isinstance":
                kinds = node.attributes["types"]
                assert isinstance(kinds, tuple)
                self._write("ISINSTANCE", self._types(kinds), self._number(len(kinds)))
            case "prim::CallMethod":
                name = self._constant(node.attributes["name"])
                self._write("INTERFACE_CALL", name, self._number(count))
            case "aten::format":
                self._write("FORMAT", count)
            case "aten::warn":
                self._write("WARN", self._operand(node, "id"))
            case _ if node.operator == GET_ATTR:
                self._write("GET_ATTR", self._operand(node, "slot"))
            case _ if node.operator == SET_ATTR:
                self._write("SET_ATTR", self._operand(node, "slot"))
            case _ if node.operator in OPCODES:
                self._write(OPCODES[node.operator])
            case _:
                self._call(node)

    def _call(self, node: Node) -> None:
        schema = self._schema(node)
        name, _, overload = node.operator.partition(".")
        if schema.variadic and node.operator != TUPLE_UNPACK:
            number = self._callee(Callee(name, overload))
            self._write("OPN", number, self._number(len(node.inputs)))
        else:
            number = self._callee(Callee(name, overload, len(self._inputs(node))))
            self._write("OP", number)
            if node.operator == TUPLE_UNPACK and not node.outputs:
                raise self._refuse("an empty tuple cannot be unpacked")

    def _inputs(self, node: Node) -> Sequence[Value]:
        """Returns the inputs that a call of the node needs on the stack."""
        if not _is_call(node):
            return node.inputs
        schema = self._schema(node)
        if schema.variadic or upgraded_arguments(node.operator, self.version) is not None:
            return node.inputs
        if len(node.inputs) != len(schema.arguments):
            raise self._refuse(
                f"{node.operator} has {len(node.inputs)} inputs instead of {len(schema.arguments)}"
            )
        return leave_out_defaults(schema, node.inputs)

    def _schema(self, node: Node) -> Schema:
        schema = self.schemas.find(node.operator) or UNLISTED.find(node.operator)
        if schema is None:
            raise self._refuse(f"the schema of {node.operator} is not known")
        return schema

    # Tables

    def _callee(self, callee: Callee) -> int:
        return self.callees.setdefault(callee, len(self.callees))

    def _constant(self, value: object) -> int:
        plain = isinstance(value, (type(None), bool, int, str))
        # The text tells -0.0 from 0.0. Lists are equal only if they are one: code may change them.
        key = (
            (type(value), value)
            if plain
            else (type(value), repr(value) if isinstance(value, (float, complex)) else id(value))
        )
        if key not in self.constant_numbers:
            self.constant_numbers[key] = len(self.constants)
            self.constants.append(value)
        return self.constant_numbers[key]

    def _type(self, node: Node) -> int:
        kind = node.attributes["type"]
        assert isinstance(kind, str)
        return self._types((kind,))

    def _types(self, kinds: tuple[str, ...]) -> int:
        """Returns the number of the first of some types that stand together in the table."""
        if kinds not in self.type_numbers:
            self.type_numbers[kinds] = len(self.types)
            self.types.extend(kinds)
        return self.type_numbers[kinds]

    # Writing

    def _write(self, opcode: str, x: int = 0, n: int = 0) -> int:
        self.code.append(Instruction(opcode, x, n))
        self.handles.append(self.handle)
        return len(self.code) - 1

    def _write_at(self, node: Node, opcode: str, x: int) -> None:
        self.handle = node.debug_handle
        self._write(opcode, x)

    def _patch(self, index: int, distance: int) -> None:
        step = self.code[index]
        self.code[index] = Instruction(step.opcode, distance, step.n)

    def _number(self, count: int) -> int:
        if not 0 <= count <= _MOST:
            raise self._refuse(f"an instruction can have {_MOST:,} values, and not {count:,}")
        return count

    def _operand(self, node: Node, name: str) -> int:
        value = node.attributes.get(name)
        assert isinstance(value, int), f"{node.operator} lacks {name}"
        return value

    def _refuse(self, why: str) -> ModelError:
        return ModelError(f"{self.graph.name} cannot be written as bytecode: {why}")


def _is_call(node: Node) -> bool:
    """Whether an entry in the table of operators stands for the node."""
    if node.operator in OPCODES or node.operator in (FORMAT, WARN, IF, LOOP, GET_ATTR, SET_ATTR):
        return False
    return node.operator not in _INSTRUCTIONS


_INSTRUCTIONS = frozenset(
    {
        CONSTANT,
        "prim::ListConstruct",
        "prim::DictConstruct",
        "prim::TupleConstruct",
        "prim::ListUnpack",
        "prim::TupleSlice",
        "prim::CreateObject",
        "prim::isinstance",
        "prim::CallMethod",
    }
)


def _run(steps: _Steps) -> None:
    waiting = [steps]
    while waiting:
        try:
            waiting.append(next(waiting[-1]))
        except StopIteration:
            waiting.pop()
