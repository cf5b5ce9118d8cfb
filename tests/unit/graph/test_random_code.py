"""Random code with variables in registers computes the same after lifting and lowering."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builder.core.operator_schemas import Schemas
from builder.errors import ModelError
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.well_formed import check_program
from builder.lite.model import Argument, Callee, Function, Instruction, LiteModel
from builder.lite.objects import ScriptObject
from tests.unit.graph.interpreting import MOST_STEPS, TooLongError, run
from tests.unit.graph.same import describe

SCHEMAS = Schemas(
    "t::one(Tensor a) -> Tensor\nt::two(Tensor a, Tensor b) -> Tensor\n"
    "t::none(Tensor a) -> ()\nt::pair(Tensor a) -> (Tensor, Tensor)\n"
)
CALLEES = tuple(
    Callee(f"t::{name}", "", count)
    for name, count in (("one", 1), ("two", 2), ("none", 1), ("pair", 1))
)
CONSTANTS = (0, 1, 2, 3, True, False)
VARIABLES = 5


class Writer:
    """Draws statements on variables, which are the registers."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw
        self.left = 25

    def statements(self, depth: int) -> list[Instruction]:
        code: list[Instruction] = []
        for _ in range(self.draw(st.integers(1, 4))):
            self.left -= 1
            if self.left > 0:
                code += self.statement(depth)
        return code

    def statement(self, depth: int) -> list[Instruction]:
        kinds = ["set", "pair", "drop", "none"] + (["if", "loop"] * 3 if depth < 4 else [])
        match self.draw(st.sampled_from(kinds)):
            case "set":
                return [*self.expression(2), Instruction("STORE", self.variable())]
            case "pair":
                first = self.draw(st.integers(1, VARIABLES - 1))
                call = Instruction("OP", 3)
                return [*self.expression(1), call, Instruction("STOREN", first, 2)]
            case "none":
                return [*self.expression(1), Instruction("OP", 2)]
            case "drop":
                return [*self.expression(1), Instruction("DROP")]
            case "if":
                return self.branch(depth)
        return self.loop(depth)

    def branch(self, depth: int) -> list[Instruction]:
        one, other = self.statements(depth + 1), self.statements(depth + 1)
        outputs = self.draw(st.integers(0, 2))
        for block in (one, other):
            for _ in range(outputs):
                block += self.expression(1)
        stores = [Instruction("STORE", self.variable()) for _ in range(outputs)]
        skip = Instruction("JMP", len(other) + 1)
        start = Instruction("JF", len(one) + 2)
        return [*self.expression(1), start, *one, skip, *other, *stores]

    def loop(self, depth: int) -> list[Instruction]:
        carried = self.draw(st.integers(0, 2))
        zero, most = Instruction("LOADC", 0), Instruction("LOADC", 3)
        head = [zero, most]
        for _ in range(1 + carried):
            head += self.expression(1)
        # The number of the turn and the carried values are stored first.
        body = [Instruction("STORE", self.variable()) for _ in range(1 + carried)]
        body += self.statements(depth + 1)
        for _ in range(1 + carried):
            body += self.expression(1)
        start = Instruction("LOOP", len(body) + 2, 2 + carried)
        back = Instruction("JMP", -len(body) - 1)
        stores = [Instruction("STORE", self.variable()) for _ in range(carried)]
        return [*head, start, *body, back, *stores]

    def expression(self, depth: int) -> list[Instruction]:
        kind = self.draw(st.integers(0, 7))
        if kind < 2:
            return [Instruction("LOADC", self.draw(st.integers(0, len(CONSTANTS) - 1)))]
        if kind == 2 and depth:
            return [*self.expression(depth - 1), Instruction("OP", 0)]
        if kind == 3 and depth:
            both = self.expression(depth - 1) + self.expression(depth - 1)
            return [*both, Instruction("OP", 1)]
        move = kind == 7 and self.draw(st.integers(0, 9)) == 0
        return [Instruction("MOVE" if move else "LOAD", self.variable())]

    def variable(self) -> int:
        return self.draw(st.integers(1, VARIABLES))


@st.composite
def functions(draw: Callable[..., Any]) -> Function:
    writer = Writer(draw)
    code = [Instruction("STOREN", 1, VARIABLES), *writer.statements(0)]
    for register in range(1, VARIABLES + 1):
        # So the values of all variables count.
        code += [Instruction("LOAD", register), Instruction("OP", 2)]
    code += [Instruction("LOAD", writer.variable()), Instruction("RET")]
    return Function(
        name="m.forward",
        instructions=tuple(code),
        callees=CALLEES,
        constants=CONSTANTS,
        types=(),
        registers=VARIABLES,
        arguments=tuple(Argument(f"a{number}", "Tensor") for number in range(VARIABLES)),
        results=(Argument("", "Tensor"),),
    )


@settings(max_examples=400)
@given(functions(), st.lists(st.integers(0, 2), min_size=VARIABLES, max_size=VARIABLES))
def test_code_with_variables(function: Function, arguments: list[int]) -> None:
    model = LiteModel(
        bytecode_version=8,
        operator_version=10,
        functions=(function,),
        root=ScriptObject("m"),
    )
    if any(step.opcode == "MOVE" for step in function.instructions):
        # It may leave a register empty on one path, which is refused.
        with suppress(ModelError):
            check_same(model, arguments)
    else:
        check_same(model, arguments)


def check_same(model: LiteModel, arguments: list[int]) -> None:
    (function,) = model.functions
    program = lift_program(model, SCHEMAS)
    check_program(program)
    lowered = lower_program(program, SCHEMAS)
    again = lift_program(lowered, SCHEMAS)
    assert list(map(describe, program.graphs.values())) == list(
        map(describe, again.graphs.values())
    )
    try:
        expected = run(function, *arguments)
    except TooLongError:
        assume(False)
    # The lowered code of a turn may be a little longer, and turns are many.
    assert run(lowered.functions[0], *arguments, most=2 * MOST_STEPS) == expected


@st.composite
def damaged_functions(draw: Callable[..., Any]) -> Function:
    function = draw(functions())
    code = list(function.instructions)
    opcodes = sorted({step.opcode for step in code} | {"JF", "JMP", "LOOP", "MOVE", "DROPR"})
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(code) - 1))
        step = code[at]
        match draw(st.integers(0, 5)):
            case 0:
                code[at] = replace(step, x=step.x + draw(st.integers(-3, 3)))
            case 1:
                code[at] = replace(step, n=max(0, step.n + draw(st.integers(-1, 1))))
            case 2:
                code[at] = replace(step, opcode=draw(st.sampled_from(opcodes)))
            case 3:
                code.insert(at, code[draw(st.integers(0, len(code) - 1))])
            case 4 if len(code) > 1:
                del code[at]
            case _:
                other = draw(st.integers(0, len(code) - 1))
                code[at], code[other] = code[other], step
    return replace(function, instructions=tuple(code))


@settings(max_examples=1000)
@given(damaged_functions(), st.lists(st.integers(0, 2), min_size=VARIABLES, max_size=VARIABLES))
def test_damaged_code_is_refused_or_computes_the_same(
    function: Function, arguments: list[int]
) -> None:
    """What can be lifted at all is the graph of this code, and of no other."""
    model = LiteModel(
        bytecode_version=8, operator_version=10, functions=(function,), root=ScriptObject("m")
    )
    with suppress(ModelError):
        check_same(model, arguments)
