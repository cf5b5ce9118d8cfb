"""Makes graphs of bytecode, by running it on symbols.

Bytecode runs on a stack machine with registers (torch/csrc/jit/mobile/interpreter.cpp). Branches
and loops are found by the form in which upstream writes them (`emitIf` and `emitLoop` of
torch/csrc/jit/runtime/interpreter/code_impl.h). Other jumps are refused, as is code that needs
values of a stack that is not its own. Registers are variables: where two paths meet, a register
that both have set becomes an output of the `prim::If` or `prim::Loop` if somebody reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from builder.core.schemas import Schemas
from builder.errors import ModelError
from builder.graph.calls import complete
from builder.graph.graph import CONSTANT, GET_ATTR, IF, LOOP, SET_ATTR, Block, Graph, Node, Value
from builder.graph.members import Members
from builder.graph.merges import Merges
from builder.graph.opcodes import (
    DICT_GET,
    FORMAT,
    OPCODES,
    PLAIN,
    TUPLE_UNPACK,
    UNLISTED,
    WARN,
    Plain,
    upgraded_arguments,
)
from builder.graph.program import Program
from builder.graph.types import info_of, item_type, join_tuple, parse_result, type_of
from builder.lite.model import Argument, Callee, Function, Instruction, LiteModel
from builder.lite.objects import List

_Entry = TypeVar("_Entry")

_OLDEST = 3
"""Operator version of a file that has none: what upstream writes when no operator needs a newer
one (kProducedFileFormatVersion, caffe2/serialize/versions.h)."""
_FREE_STEPS, _STEPS = 1_000_000, 64
"""Steps that the bytecode of a function may cause, and steps for each of its instructions."""


def lift_program(model: LiteModel, schemas: Schemas) -> Program:
    """Returns the graphs of all functions of a model.

    Args:
        model: the content of a lite file.
        schemas: of all operators that the model calls. A custom operator needs one too.

    Raises:
        ModelError: an operator has no schema, or the code is not such as upstream writes.
    """
    version = _OLDEST if model.operator_version is None else model.operator_version
    members = Members.of(model)
    graphs: dict[str, Graph] = {}
    for function in model.functions:
        # Of two functions with one name, the runtime calls the first.
        if function.name not in graphs:
            graphs[function.name] = lift_function(function, schemas, members, version)
    return Program(
        root=model.root,
        graphs=graphs,
        operator_version=version,
        extra_files=model.extra_files,
        records=model.records,
    )


def lift_function(
    function: Function, schemas: Schemas, members: Members, operator_version: int
) -> Graph:
    """Returns the graph of one function; raises ModelError as `lift_program` does."""
    return _Lifter(function, schemas, members, operator_version).lift()


@dataclass(slots=True, eq=False)
class _Frame:
    """A block while its instructions are read."""

    block: Block
    end: int
    """The index of the instruction behind the block."""
    node: Node | None = None
    """The `prim::If` or `prim::Loop`; None for the function itself."""
    stack: list[Value] = field(default_factory=list)
    before: dict[int, Value | None] = field(default_factory=dict)
    """What each register held before the block changed it; None: nothing that may be read."""
    first: _Branch | None = None
    """For the second block of a `prim::If`: how the first one ended."""
    carried: dict[int, Value] = field(default_factory=dict)
    """For the block of a loop: the registers that it changes, with their values in a new turn."""


@dataclass(frozen=True, slots=True, eq=False)
class _Branch:
    stack: list[Value]
    registers: dict[int, Value | None]
    """What each register that the branch changed holds at its end."""


@dataclass(slots=True, eq=False)
class _Lifter:
    function: Function
    schemas: Schemas
    members: Members
    version: int
    graph: Graph = field(init=False)
    at: int = 0
    frames: list[_Frame] = field(default_factory=list)
    registers: dict[int, Value] = field(default_factory=dict)
    constants: dict[object, Node] = field(default_factory=dict)
    loaded: dict[int, Value] = field(default_factory=dict)
    """Number of a constant in the file -> its value."""
    merges: Merges = field(default_factory=Merges)
    left: int = 0
    """Steps that are left: work that grows faster than the code is counted."""

    def lift(self) -> Graph:
        """Reads all instructions and returns the graph."""
        code = self.function.instructions
        self.left = _FREE_STEPS + _STEPS * len(code)
        self._begin()
        while self.at < len(code):
            self._close_blocks()
            step = code[self.at]
            self.at += 1
            self._read(step)
        if len(self.frames) != 1 or not code or code[-1].opcode != "RET":
            raise self._refuse("the code does not end with RET")
        if unread := self.merges.settle():
            raise self._refuse(f"a register of {unread.operator} is not set on every path")
        block = self.frames[0].block
        block.nodes[:0] = self.constants.values()
        return self.graph

    def _begin(self) -> None:
        function = self.function
        arguments = function.arguments
        if arguments is None:
            # The first instruction stores the arguments.
            first = function.instructions[:1]
            stored = [step.n if step.opcode == "STOREN" else 1 for step in first]
            self._spend(sum(stored))
            others = range(1, sum(stored))
            arguments = (
                Argument("self", self.members.root.class_name),
                *(Argument(f"argument_{number}", "") for number in others),
            )
        inputs = [Value(argument.type, name=argument.name) for argument in arguments]
        if inputs and function.name.startswith(f"{self.members.root.class_name}."):
            self.members.objects[inputs[0]] = self.members.root
        results = (Argument("", ""),) if function.results is None else function.results
        self.graph = Graph(
            name=function.name, block=Block(inputs), arguments=arguments, results=results
        )
        code = function.instructions
        self.frames.append(_Frame(self.graph.block, len(code), stack=list(inputs)))

    # Control flow

    def _close_blocks(self) -> None:
        """Ends the second blocks of `prim::If` that end here: no instruction marks their ends."""
        while (frame := self.frames[-1]).first is not None and frame.end == self.at:
            self._end_if(frame, frame.first)

    def _jump_if_false(self, step: Instruction) -> None:
        frame = self.frames[-1]
        condition = self._pop()
        otherwise = self.at - 1 + step.x
        # The block that runs if the condition holds ends with a jump over the other block.
        skip = self._step(otherwise - 1, "JMP") if self.at < otherwise <= frame.end else None
        end = 0 if skip is None else otherwise - 1 + skip.x
        if not otherwise <= end <= frame.end:
            raise self._refuse("a branch has another form than upstream's")
        node = self._add(IF, [condition], blocks=[Block(), Block()])
        self.frames.append(_Frame(node.blocks[0], otherwise - 1, node))

    def _jump(self, step: Instruction) -> None:
        frame = self.frames[-1]
        if frame.node is None or frame.first is not None or frame.end != self.at - 1:
            raise self._refuse("a jump belongs to no branch and no loop")
        if frame.node.operator == LOOP:
            self._end_loop(frame, frame.node)
            return
        self.frames.pop()
        other = _Frame(frame.node.blocks[1], self.at - 1 + step.x, frame.node)
        other.first = self._end_branch(frame)
        self.frames.append(other)

    def _end_branch(self, frame: _Frame) -> _Branch:
        """Returns how a branch ended, and gives the registers the values from before it."""
        self._spend(len(frame.before))
        ended = {register: self.registers.get(register) for register in frame.before}
        for register, value in frame.before.items():
            self._restore(register, value)
        return _Branch(frame.stack, ended)

    def _end_if(self, frame: _Frame, first: _Branch) -> None:
        node = frame.node
        assert node is not None
        self.frames.pop()
        second = self._end_branch(frame)
        if len(first.stack) != len(second.stack):
            raise self._refuse("the two branches leave different numbers of values")
        for block, branch in zip(node.blocks, (first, second), strict=True):
            block.outputs.extend(branch.stack)
        for pair in zip(first.stack, second.stack, strict=True):
            self.frames[-1].stack.append(node.add_output(_join(*pair)))
        for register in first.registers | second.registers:
            # A branch that does not change the register leaves what was there before.
            before = self.registers.get(register)
            one, other = (b.registers.get(register, before) for b in (first, second))
            self._set(register, self.merges.join_branches(node, one, other))

    def _loop(self, step: Instruction) -> None:
        start = self.at - 1
        exit_ = start + step.x
        back = self._step(exit_ - 1, "JMP") if start + 1 < exit_ <= self.frames[-1].end else None
        if back is None or exit_ - 1 + back.x != start or step.n < 2:
            raise self._refuse("a loop has another form than upstream's")
        turn, *inputs = self._pop_many(step.n + 1)
        if not turn.is_constant or type(turn.constant) is not int or turn.constant:
            raise self._refuse("a loop does not begin with turn 0")
        body = Block([Value("int"), *(Value(value.type, name=value.name) for value in inputs[2:])])
        node = self._add(LOOP, inputs, blocks=[body])
        frame = _Frame(body, exit_ - 1, node, stack=list(body.inputs))
        self.frames.append(frame)
        for register in self._changed(self.at, exit_ - 1):
            before = self.registers.get(register)
            if before is not None:
                frame.carried[register] = Value(before.type, name=before.name)
                self._set(register, frame.carried[register])

    def _changed(self, start: int, end: int) -> list[int]:
        """Returns the registers that instructions change, each once."""
        self._spend(end - start)
        found: dict[int, None] = {}
        for step in self.function.instructions[start:end]:
            match step.opcode:
                case "STORE" | "MOVE" | "DROPR":
                    found[step.x] = None
                case "STOREN":
                    self._spend(step.n)
                    found |= dict.fromkeys(range(step.x, step.x + step.n))
        return list(found)

    def _end_loop(self, frame: _Frame, node: Node) -> None:
        self.frames.pop()
        if len(frame.stack) != len(node.inputs) - 1:
            raise self._refuse("a turn of a loop leaves another number of values than it takes")
        body = node.blocks[0]
        body.outputs.extend(frame.stack)
        ended = self._end_branch(frame).registers
        for value in node.inputs[2:]:
            output = node.add_output(Value(value.type, name=value.name))
            self.frames[-1].stack.append(output)
        for register, last in ended.items():
            start = self.registers.get(register)
            turn = frame.carried.get(register)
            merged = None
            if start is not None and turn is not None:
                merged = self.merges.join_turns(node, start, turn, last)
            self._set(register, merged)

    # Instructions

    def _read(self, step: Instruction) -> None:
        if (plain := PLAIN.get(step.opcode)) is not None:
            self._plain(plain, self._pop_many(plain.takes))
        elif (read := _READERS.get(step.opcode)) is not None:
            read(self, step)
        else:
            raise self._refuse(f"the lite interpreter does not know {step.opcode}")

    def _plain(self, plain: Plain, inputs: list[Value]) -> None:
        self._push(self._add(plain.operator, inputs, plain.gives))

    def _load_constant(self, step: Instruction) -> None:
        if step.x not in self.loaded:
            value = self._entry(self.function.constants, step.x, "constant")
            self.loaded[step.x] = self._constant(value)
        self.frames[-1].stack.append(self.loaded[step.x])

    def _load(self, step: Instruction) -> None:
        value = self.registers.get(step.x)
        if value is None:
            raise self._refuse(f"register {step.x} is read, but nothing is stored in it")
        self.merges.mark(value)
        self.frames[-1].stack.append(value)
        if step.opcode == "MOVE":
            self._set(step.x, None)

    def _store(self, step: Instruction) -> None:
        values = self._pop_many(step.n if step.opcode == "STOREN" else 1)
        for register, value in enumerate(values, step.x):
            if not 0 < register <= self.function.registers:
                raise self._refuse(f"there is no register {register}")
            self._set(register, value)

    def _drop(self, step: Instruction) -> None:
        if step.opcode == "DROP":
            self._pop()
        else:
            self._set(step.x, None)

    def _return(self, step: Instruction) -> None:
        del step
        frame = self.frames[0]
        if len(self.frames) != 1 or self.at != frame.end:
            raise self._refuse("RET does not stand at the end")
        if len(frame.stack) != len(self.graph.results):
            raise self._refuse(f"it returns {len(frame.stack)} values")
        frame.block.outputs.extend(frame.stack)

    def _call(self, step: Instruction) -> None:
        callee = self._entry(self.function.callees, step.x, "operator")
        name = f"{callee.name}.{callee.overload}" if callee.overload else callee.name
        if name == FORMAT or name.startswith(DICT_GET) or name in OPCODES:
            self._promoted(name, step)
        elif name == TUPLE_UNPACK:
            self._unpack_tuple()
        else:
            self._operator(name, callee, step)

    def _promoted(self, name: str, step: Instruction) -> None:
        if name == FORMAT:
            self._push(self._add(FORMAT, self._pop_many(step.n), ("str",)))
            return
        plain = PLAIN["DICT_INDEX" if name.startswith(DICT_GET) else OPCODES[name]]
        callee = self.function.callees[step.x]
        # Before bytecode version 8, the message was the only argument of an exception.
        if plain.operator == "prim::RaiseException" and callee.arguments == 1:
            self._plain(plain, [self._pop(), self._constant(None)])
        else:
            self._plain(plain, self._pop_many(plain.takes))

    def _operator(self, name: str, callee: Callee, step: Instruction) -> None:
        schema = self.schemas.find(name) or UNLISTED.find(name)
        if schema is None:
            raise ModelError(
                f"{self.function.name} calls {name}, whose schema is not known",
                hint="builder knows the operators of the release that `--pytorch` names",
            )
        count = upgraded_arguments(name, self.version)
        if step.opcode == "OPN":
            inputs = self._pop_many(step.n)
        elif count is not None:
            # These arguments are those of an older schema, which the runtime's upgrader knows.
            given = callee.arguments
            inputs = self._pop_many(count if given is None or given < 0 else given)
        else:
            count = len(schema.arguments)
            given = callee.arguments
            inputs = self._pop_many(count if given is None or given < 0 else min(given, count))
            try:
                inputs = complete(schema, inputs, self._default)
            except ValueError as error:
                raise self._refuse(str(error)) from error
        self._push(self._add(name, inputs, [parse_result(kind) for kind in schema.results]))

    def _unpack_tuple(self) -> None:
        value = self._pop()
        # Bytecode does not say how many items there are. What stores several results stands
        # directly behind the instruction, so that a single one is used or stored in another way.
        frame = self.frames[-1]
        after = self._step(self.at, "STOREN") if self.at < frame.end else None
        made = value.producer
        empty = made is not None and made.operator == "prim::TupleConstruct" and not made.inputs
        count = after.n if after is not None else 0 if empty else 1
        self._spend(count)
        kinds = [item.type for item in made.inputs] if made is not None else []
        known = made is not None and made.operator == "prim::TupleConstruct" and len(kinds) == count
        self._push(self._add(TUPLE_UNPACK, [value], kinds if known else [""] * count))

    def _method(self, step: Instruction) -> None:
        name = self._entry(self.function.constants, step.x, "constant")
        if not isinstance(name, str) or step.n < 1:
            raise self._refuse("a called method has no name or no object")
        self._push(self._add("prim::CallMethod", self._pop_many(step.n), [""], {"name": name}))

    def _get_attribute(self, step: Instruction) -> None:
        node = self._add(GET_ATTR, [self._pop()], [""], {"slot": step.x})
        self.members.describe(node)
        self._push(node)

    def _set_attribute(self, step: Instruction) -> None:
        self._add(SET_ATTR, self._pop_many(2), attributes={"slot": step.x})

    def _list(self, step: Instruction) -> None:
        self._container("prim::ListConstruct", step)

    def _dict(self, step: Instruction) -> None:
        self._container("prim::DictConstruct", step)

    def _named_tuple(self, step: Instruction) -> None:
        self._container("prim::TupleConstruct", step)

    def _container(self, operator: str, step: Instruction) -> None:
        kind = self._entry(self.function.types, step.x, "type")
        self._push(self._add(operator, self._pop_many(step.n), [kind], {"type": kind}))

    def _tuple(self, step: Instruction) -> None:
        inputs = self._pop_many(step.x)
        kind = join_tuple([value.type for value in inputs])
        self._push(self._add("prim::TupleConstruct", inputs, [kind]))

    def _slice_tuple(self, step: Instruction) -> None:
        bounds: dict[str, object] = {"begin": step.x, "end": step.x + step.n}
        self._push(self._add("prim::TupleSlice", [self._pop()], [""], bounds))

    def _unpack_list(self, step: Instruction) -> None:
        self._spend(max(step.x, 0))
        value = self._pop()
        kinds = [item_type(value.type)] * step.x
        self._push(self._add("prim::ListUnpack", [value], kinds))

    def _create(self, step: Instruction) -> None:
        kind = self._entry(self.function.types, step.x, "type")
        self._push(self._add("prim::CreateObject", [], [kind], {"type": kind}))

    def _is_instance(self, step: Instruction) -> None:
        self._spend(step.n)
        kinds = [
            self._entry(self.function.types, index, "type")
            for index in range(step.x, step.x + step.n)
        ]
        node = self._add("prim::isinstance", [self._pop()], ["bool"], {"types": tuple(kinds)})
        self._push(node)

    def _format(self, step: Instruction) -> None:
        self._push(self._add(FORMAT, self._pop_many(step.x), ("str",)))

    def _warn(self, step: Instruction) -> None:
        self._add(WARN, self._pop_many(2), attributes={"id": step.x})

    # Values

    def _add(
        self,
        operator: str,
        inputs: list[Value],
        kinds: Sequence[str] = (),
        attributes: dict[str, object] | None = None,
        blocks: list[Block] | None = None,
    ) -> Node:
        node = Node(
            operator,
            inputs,
            [Value(kind) for kind in kinds],
            attributes or {},
            blocks or [],
            self._handle(),
        )
        self.frames[-1].block.nodes.append(node)
        return node

    def _handle(self) -> int:
        handles = self.function.debug_handles
        return -1 if handles is None or self.at > len(handles) else handles[self.at - 1]

    def _push(self, node: Node) -> None:
        self.frames[-1].stack.extend(node.outputs)

    def _pop(self) -> Value:
        return self._pop_many(1)[0]

    def _pop_many(self, count: int) -> list[Value]:
        stack = self.frames[-1].stack
        if not 0 <= count <= len(stack):
            raise self._refuse("it takes more values than its block has made")
        first = len(stack) - count
        values = stack[first:]
        del stack[first:]
        return values

    def _constant(self, value: object) -> Value:
        """Returns the value of a constant: one for all plain ones that are equal."""
        key: object = id(value)
        if isinstance(value, (type(None), bool, int, str)):
            key = (type(value), value)
        elif isinstance(value, (float, complex)):
            # The text tells -0.0 from 0.0, and equals itself for nan.
            key = (type(value), repr(value))
        return self._keep(key, value)

    def _default(self, value: object) -> Value:
        """Returns the value of a default; no operator changes a list that is a default."""
        if isinstance(value, List):
            return self._keep((value.type, *value.items), value)
        return self._constant(value)

    def _keep(self, key: object, value: object) -> Value:
        if key not in self.constants:
            output = Value(type_of(value), info_of(value))
            self.constants[key] = Node(CONSTANT, [], [output], {"value": value})
        return self.constants[key].output

    def _set(self, register: int, value: Value | None) -> None:
        """Gives a register a value, and notes what it held before the current block."""
        self._spend(1)
        self.frames[-1].before.setdefault(register, self.registers.get(register))
        self._restore(register, value)

    def _restore(self, register: int, value: Value | None) -> None:
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value

    # What files may say

    def _entry(self, table: Sequence[_Entry], index: int, what: str) -> _Entry:
        if not 0 <= index < len(table):
            raise self._refuse(f"there is no {what} {index}")
        return table[index]

    def _step(self, index: int, opcode: str) -> Instruction | None:
        """Returns the instruction at `index` if it has this opcode."""
        step = self.function.instructions[index]
        return step if step.opcode == opcode else None

    def _spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise self._refuse("it takes more steps to read than any code of its size")

    def _refuse(self, why: str) -> ModelError:
        return ModelError(
            f"the bytecode of {self.function.name} cannot be read as a graph: {why} "
            f"(instruction {max(self.at - 1, 0)})",
            hint="export the model again with `builder export`",
        )


def _join(one: Value, other: Value) -> Value:
    """Returns a new value for what is one of two."""
    return Value(one.type if one.type == other.type else "")


_READERS: dict[str, Callable[[_Lifter, Instruction], None]] = {
    "OP": _Lifter._call,
    "OPN": _Lifter._call,
    "LOAD": _Lifter._load,
    "MOVE": _Lifter._load,
    "STORE": _Lifter._store,
    "STOREN": _Lifter._store,
    "DROP": _Lifter._drop,
    "DROPR": _Lifter._drop,
    "LOADC": _Lifter._load_constant,
    "JF": _Lifter._jump_if_false,
    "JMP": _Lifter._jump,
    "LOOP": _Lifter._loop,
    "RET": _Lifter._return,
    "INTERFACE_CALL": _Lifter._method,
    "GET_ATTR": _Lifter._get_attribute,
    "SET_ATTR": _Lifter._set_attribute,
    "LIST_CONSTRUCT": _Lifter._list,
    "LIST_UNPACK": _Lifter._unpack_list,
    "TUPLE_CONSTRUCT": _Lifter._tuple,
    "TUPLE_SLICE": _Lifter._slice_tuple,
    "DICT_CONSTRUCT": _Lifter._dict,
    "NAMED_TUPLE_CONSTRUCT": _Lifter._named_tuple,
    "CREATE_OBJECT": _Lifter._create,
    "ISINSTANCE": _Lifter._is_instance,
    "FORMAT": _Lifter._format,
    "WARN": _Lifter._warn,
}
