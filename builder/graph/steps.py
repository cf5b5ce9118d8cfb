"""What single instructions do: each takes values from the stack and adds a node to the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builder.core.operator_schemas import Schema
from builder.errors import ModelError
from builder.graph.calls import complete, find_schema
from builder.graph.graph import GET_ATTR, SET_ATTR, Value
from builder.graph.opcodes import (
    DICT_GET,
    FORMAT,
    OPCODES,
    PLAIN,
    TUPLE_UNPACK,
    WARN,
    Plain,
    upgraded_arguments,
)
from builder.graph.stack_machine import Machine
from builder.graph.types import item_type, join_tuple, parse_result, parts_of, result_type
from builder.lite.model import Callee, Instruction


def _plain(machine: Machine, step: Instruction) -> None:
    plain = PLAIN[step.opcode]
    _add_plain(machine, plain, machine.pop_many(plain.takes))


def _add_plain(machine: Machine, plain: Plain, inputs: list[Value]) -> None:
    _add_typed(machine, plain.operator, inputs, plain.gives)


def _add_typed(machine: Machine, operator: str, inputs: list[Value], kinds: Sequence[str]) -> None:
    """Adds a node; unknown types of its results may follow from those of its inputs."""
    # The empty type is unknown. Only single results are worked out, which is enough for list items
    # and the like.
    if kinds == [""] or kinds == ("",):
        kinds = [result_type(operator, [value.type for value in inputs])]
    machine.push(machine.add(operator, inputs, kinds))


def _load_constant(machine: Machine, step: Instruction) -> None:
    if step.x not in machine.loaded:
        value = machine.entry(machine.function.constants, step.x, "constant")
        machine.loaded[step.x] = machine.constant(value)
    machine.frame.stack.append(machine.loaded[step.x])


def _load(machine: Machine, step: Instruction) -> None:
    value = machine.registers.get(step.x)
    if value is None:
        raise machine.refuse(f"register {step.x} is read, but nothing is stored in it")
    machine.merges.mark(value)
    machine.frame.stack.append(value)
    # MOVE empties the register, so that the interpreter can free the value at its last use.
    if step.opcode == "MOVE":
        machine.set(step.x, None)


def _store(machine: Machine, step: Instruction) -> None:
    values = machine.pop_many(step.n if step.opcode == "STOREN" else 1)
    for register, value in enumerate(values, step.x):
        # Registers count from 1 in bytecode.
        if not 0 < register <= machine.function.registers:
            raise machine.refuse(f"there is no register {register}")
        machine.set(register, value)


def _drop(machine: Machine, step: Instruction) -> None:
    if step.opcode == "DROP":
        machine.pop()
    else:
        machine.set(step.x, None)


def _call(machine: Machine, step: Instruction) -> None:
    callee = machine.entry(machine.function.callees, step.x, "operator")
    name = f"{callee.name}.{callee.overload}" if callee.overload else callee.name
    # Older bytecode calls an operator for what later versions have an instruction for.
    if name == FORMAT or name.startswith(DICT_GET) or name in OPCODES:
        _promoted(machine, name, step)
    elif name == TUPLE_UNPACK:
        _unpack_tuple(machine)
    else:
        _operator(machine, name, callee, step)


def _promoted(machine: Machine, name: str, step: Instruction) -> None:
    if name == FORMAT:
        machine.push(machine.add(FORMAT, machine.pop_many(step.n), ("str",)))
        return
    plain = PLAIN["DICT_INDEX" if name.startswith(DICT_GET) else OPCODES[name]]
    callee = machine.function.callees[step.x]
    # Before bytecode version 8, the message was the only argument of an exception.
    if plain.operator == "prim::RaiseException" and callee.arguments == 1:
        _add_plain(machine, plain, [machine.pop(), machine.constant(None)])
    else:
        _add_plain(machine, plain, machine.pop_many(plain.takes))


def _operator(machine: Machine, name: str, callee: Callee, step: Instruction) -> None:
    schema = find_schema(machine.schemas, name)
    if schema is None:
        raise ModelError(
            f"{machine.function.name} calls {name}, and nothing tells what it returns",
            hint="only operators of the release and of torchvision can be read as a graph",
        )
    # OPN is for operators with any number of arguments, and says how many there are.
    if step.opcode == "OPN":
        inputs = machine.pop_many(step.n)
    else:
        inputs = _pop_arguments(machine, schema, callee.arguments)
    _add_typed(machine, name, inputs, [parse_result(kind) for kind in schema.results])


def _pop_arguments(machine: Machine, schema: Schema, given: int | None) -> list[Value]:
    """Returns all arguments of a call that takes `given` values; None or -1: all."""
    upgraded = upgraded_arguments(schema.name, machine.version)
    most = len(schema.arguments) if upgraded is None else upgraded
    inputs = machine.pop_many(most if given is None or given < 0 else given)
    if upgraded is not None:
        # These arguments are those of an older schema, which the runtime's upgrader knows.
        return inputs
    if len(inputs) > most:
        raise machine.refuse(f"a call of {schema.name} has {len(inputs)} arguments")
    try:
        return complete(schema, inputs, machine.default)
    except ValueError as error:
        raise machine.refuse(str(error)) from error


def _unpack_tuple(machine: Machine) -> None:
    value = machine.pop()
    made = value.producer
    items = made.inputs if made is not None and made.operator == "prim::TupleConstruct" else None
    # Bytecode does not say how many items there are. What stores several results stands
    # directly behind the instruction; a single one is used or stored in another way.
    within = machine.at < machine.frame.end
    after = machine.find_step(machine.at, "STOREN") if within else None
    count = after.n if after is not None else 0 if items == [] else 1
    machine.spend(count)
    kinds = parts_of(value.type, "Tuple")
    # The type may be missing or a lie; it is a hint only.
    known = kinds if len(kinds) == count else [""] * count
    machine.push(machine.add(TUPLE_UNPACK, [value], known))


def _method(machine: Machine, step: Instruction) -> None:
    name = machine.entry(machine.function.constants, step.x, "constant")
    # The first argument of a method is its object.
    if not isinstance(name, str) or step.n < 1:
        raise machine.refuse("a called method has no name or no object")
    machine.push(machine.add("prim::CallMethod", machine.pop_many(step.n), [""], {"name": name}))


def _get_attribute(machine: Machine, step: Instruction) -> None:
    node = machine.add(GET_ATTR, [machine.pop()], [""], {"slot": step.x})
    machine.members.describe(node)
    machine.push(node)


def _set_attribute(machine: Machine, step: Instruction) -> None:
    machine.add(SET_ATTR, machine.pop_many(2), attributes={"slot": step.x})


def _list(machine: Machine, step: Instruction) -> None:
    _container(machine, "prim::ListConstruct", step)


def _dict(machine: Machine, step: Instruction) -> None:
    _container(machine, "prim::DictConstruct", step)


def _named_tuple(machine: Machine, step: Instruction) -> None:
    _container(machine, "prim::TupleConstruct", step)


def _container(machine: Machine, operator: str, step: Instruction) -> None:
    kind = machine.entry(machine.function.types, step.x, "type")
    machine.push(machine.add(operator, machine.pop_many(step.n), [kind], {"type": kind}))


def _tuple(machine: Machine, step: Instruction) -> None:
    inputs = machine.pop_many(step.x)
    kind = join_tuple([value.type for value in inputs])
    machine.push(machine.add("prim::TupleConstruct", inputs, [kind]))


def _slice_tuple(machine: Machine, step: Instruction) -> None:
    bounds: dict[str, object] = {"begin": step.x, "end": step.x + step.n}
    machine.push(machine.add("prim::TupleSlice", [machine.pop()], [""], bounds))


def _unpack_list(machine: Machine, step: Instruction) -> None:
    # One instruction of a damaged file could ask for two billion outputs.
    machine.spend(max(step.x, 0))
    value = machine.pop()
    kinds = [item_type(value.type)] * step.x
    machine.push(machine.add("prim::ListUnpack", [value], kinds))


def _create(machine: Machine, step: Instruction) -> None:
    kind = machine.entry(machine.function.types, step.x, "type")
    machine.push(machine.add("prim::CreateObject", [], [kind], {"type": kind}))


def _is_instance(machine: Machine, step: Instruction) -> None:
    machine.spend(step.n)
    kinds = [
        machine.entry(machine.function.types, index, "type")
        for index in range(step.x, step.x + step.n)
    ]
    node = machine.add("prim::isinstance", [machine.pop()], ["bool"], {"types": tuple(kinds)})
    machine.push(node)


def _format(machine: Machine, step: Instruction) -> None:
    machine.push(machine.add(FORMAT, machine.pop_many(step.x), ("str",)))


def _warn(machine: Machine, step: Instruction) -> None:
    machine.add(WARN, machine.pop_many(2), attributes={"id": step.x})


STEPS: dict[str, Callable[[Machine, Instruction], None]] = {
    "OP": _call,
    "OPN": _call,
    "LOAD": _load,
    "MOVE": _load,
    "STORE": _store,
    "STOREN": _store,
    "DROP": _drop,
    "DROPR": _drop,
    "LOADC": _load_constant,
    "INTERFACE_CALL": _method,
    "GET_ATTR": _get_attribute,
    "SET_ATTR": _set_attribute,
    "LIST_CONSTRUCT": _list,
    "LIST_UNPACK": _unpack_list,
    "TUPLE_CONSTRUCT": _tuple,
    "TUPLE_SLICE": _slice_tuple,
    "DICT_CONSTRUCT": _dict,
    "NAMED_TUPLE_CONSTRUCT": _named_tuple,
    "CREATE_OBJECT": _create,
    "ISINSTANCE": _is_instance,
    "FORMAT": _format,
    "WARN": _warn,
    **dict.fromkeys(PLAIN, _plain),
}
"""Opcode -> what it does. JF, JMP, LOOP and RET are not here: they decide about blocks."""
