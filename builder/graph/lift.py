"""Makes graphs of bytecode, by running it on symbols.

Bytecode runs on a stack machine with registers (torch/csrc/jit/mobile/interpreter.cpp). Branches
and loops are found by the form in which upstream writes them (`emitIf` and `emitLoop` of
torch/csrc/jit/runtime/interpreter/code_impl.h). Other jumps are refused, as is code that needs
values of a stack that is not its own. Registers are variables: where two paths meet, a register
that both have set becomes an output of the `prim::If` or `prim::Loop` if somebody reads it.
"""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.graph.branches import BRANCHES, close_blocks
from builder.graph.graph import Block, Graph, Value
from builder.graph.members import Members
from builder.graph.program import Program
from builder.graph.stack_machine import Frame, Machine
from builder.graph.steps import STEPS
from builder.lite.model import Argument, Function, Instruction, LiteModel

_OLDEST = 3
"""Operator version of a file that has none: what upstream writes when no operator needs a newer
one (kProducedFileFormatVersion, caffe2/serialize/versions.h)."""


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
    machine = Machine(function, schemas, members, operator_version)
    graph = Graph(
        name=function.name,
        block=_begin(machine),
        arguments=_arguments(machine),
        results=(Argument("", ""),) if function.results is None else function.results,
    )
    code = function.instructions
    while machine.at < len(code):
        close_blocks(machine)
        step = code[machine.at]
        machine.at += 1
        _read(machine, step)
    if len(machine.frames) != 1 or not code or code[-1].opcode != "RET":
        raise machine.refuse("the code does not end with RET")
    if len(graph.block.outputs) != len(graph.results):
        raise machine.refuse(f"it returns {len(graph.block.outputs)} values")
    if not machine.merges.settle():
        raise machine.refuse("a register that it reads is not set on every path")
    # A loop's first turn is a constant in bytecode only.
    uses = graph.uses()
    graph.block.nodes[:0] = [node for node in machine.constants.values() if node.output in uses]
    return graph


def _begin(machine: Machine) -> Block:
    """Returns the block of the function, which begins with the arguments on the stack."""
    inputs = [Value(one.type, name=one.name) for one in _arguments(machine)]
    root = machine.members.root
    if inputs and machine.function.name.startswith(f"{root.class_name}."):
        machine.members.objects[inputs[0]] = root
    block = Block(inputs)
    end = len(machine.function.instructions)
    machine.frames.append(Frame(block, end, stack=list(inputs)))
    return block


def _arguments(machine: Machine) -> tuple[Argument, ...]:
    """Returns the arguments of the function; old files do not tell their names and types."""
    function = machine.function
    if function.arguments is not None:
        return function.arguments
    # The first instruction stores them.
    first = function.instructions[:1]
    count = first[0].n if first and first[0].opcode == "STOREN" else 1
    machine.spend(count)
    others = (Argument(f"argument_{number}", "") for number in range(1, count))
    return (Argument("self", machine.members.root.class_name), *others)[:count]


def _read(machine: Machine, step: Instruction) -> None:
    read = STEPS.get(step.opcode) or BRANCHES.get(step.opcode)
    if read is None:
        raise machine.refuse(f"the lite interpreter does not know {step.opcode}")
    read(machine, step)
