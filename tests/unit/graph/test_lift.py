"""Lifting refuses what is not upstream's form, at a cost that the size of the code bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.operator_schemas import Schemas
from builder.errors import ModelError
from builder.graph.graph import TensorInfo
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.program import Program
from builder.graph.well_formed import check_program
from builder.lite.model import Argument, Callee, Function, Instruction, LiteModel
from builder.lite.objects import List, ScriptObject, Storage, Tensor

SCHEMAS = Schemas(
    """\
aten::relu(Tensor self) -> Tensor
aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)
aten::gelu(Tensor self, *, str approximate='none') -> Tensor
aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor
aten::pool(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, float p=2) -> Tensor
aten::format(str self, ...) -> str
prim::TupleUnpack(Any tup) -> ...
"""
)
RET = Instruction("RET")


def parse(text: str) -> tuple[Instruction, ...]:
    lines = [line.split() for line in text.strip().splitlines()]
    return tuple(Instruction(opcode, *map(int, rest)) for opcode, *rest in lines)


def model(
    code: str | tuple[Instruction, ...],
    *,
    callees: tuple[Callee, ...] = (),
    constants: tuple[object, ...] = (0, None),
    types: tuple[str, ...] = (),
    registers: int = 9,
    arguments: tuple[Argument, ...] | None = (Argument("self", "m"), Argument("x", "Tensor")),
    version: int = 10,
    root: ScriptObject | None = None,
) -> LiteModel:
    function = Function(
        name="m.forward",
        instructions=parse(code) if isinstance(code, str) else code,
        callees=callees,
        constants=constants,
        types=types,
        registers=registers,
        arguments=arguments,
        results=None if arguments is None else (Argument("", "Tensor"),),
    )
    return LiteModel(
        bytecode_version=8,
        operator_version=version,
        functions=(function,),
        root=root or ScriptObject("m"),
    )


def lift(given: LiteModel) -> Program:
    program = lift_program(given, SCHEMAS)
    check_program(program)
    return program


def operators(program: Program) -> list[str]:
    return [node.operator for _, node in program.graphs["m.forward"].block.walk()]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("STOREN 1 2\nLOAD 2", "does not end with RET"),
        ("", "does not end with RET"),
        ("STOREN 1 2\nRET", "returns 0 values"),
        ("RET", "returns 2 values"),
        ("STOREN 1 3\nRET", "takes more values"),
        ("STOREN 1 2\nLOAD 3\nRET", "register 3 is read"),
        ("STOREN 1 2\nMOVE 2\nLOAD 2\nRET", "register 2 is read"),
        ("STOREN 1 2\nDROPR 2\nLOAD 2\nRET", "register 2 is read"),
        ("STOREN 9 2\nLOAD 9\nRET", "no register 10"),
        ("STOREN 0 2\nLOAD 1\nRET", "no register 0"),
        ("STOREN 1 2\nLOADC 7\nRET", "no constant 7"),
        ("STOREN 1 2\nLOADC -1\nRET", "no constant -1"),
        ("STOREN 1 2\nLOAD 2\nOP 3\nRET", "no operator 3"),
        ("STOREN 1 2\nLOAD 2\nENTER\nRET", "does not know ENTER"),
        ("STOREN 1 2\nLOAD 2\nCALL 0\nRET", "does not know CALL"),
        ("STOREN 1 2\nLOAD 2\nOOPS\nRET", "does not know OOPS"),
        ("STOREN 1 2\nLIST_CONSTRUCT 5 0\nRET", "no type 5"),
        ("STOREN 1 2\nLOAD 2\nTUPLE_CONSTRUCT -1\nRET", "takes more values"),
        ("STOREN 1 2\nLOAD 2\nLIST_UNPACK 2147483647\nRET", "more steps"),
        ("STOREN 1 2\nLOAD 2\nRET\nLOAD 2\nRET", "does not stand at the end"),
        # Jumps
        ("STOREN 1 2\nLOAD 2\nJF 2\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nLOAD 2\nJF 99\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nLOAD 2\nJF -1\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nLOAD 2\nJF 2\nJMP 99\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nLOAD 2\nJF 2\nJMP 0\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nLOAD 2\nJF 2\nJMP -2\nLOAD 2\nRET", "another form"),
        ("STOREN 1 2\nJMP 1\nLOAD 2\nRET", "no branch"),
        ("STOREN 1 2\nJMP -1\nLOAD 2\nRET", "no branch"),
        ("STOREN 1 2\nLOAD 2\nJF 3\nJMP 1\nJMP 1\nLOAD 2\nRET", "no branch"),
        ("STOREN 1 2\nLOAD 2\nJF 3\nLOAD 2\nJMP 1\nLOAD 2\nRET", "different numbers"),
        ("STOREN 1 2\nLOAD 2\nLOAD 2\nJF 3\nDROP\nJMP 2\nDROP\nLOAD 2\nRET", "takes more values"),
        ("STOREN 1 2\nLOAD 2\nJF 3\nRET\nJMP 2\nLOAD 2\nRET", "does not stand at the end"),
        # Two branches that end in the middle of one another
        ("STOREN 1 2\nLOAD 2\nJF 5\nLOAD 2\nJF 2\nJMP 3\nJMP 2\nDROPR 1\nLOAD 2\nRET", "form"),
        # Loops
        ("STOREN 1 2\nLOADC 1\nLOAD 2\nLOAD 2\nLOOP 3 2\nLOAD 2\nJMP -2\nLOAD 2\nRET", "turn 0"),
        ("STOREN 1 2\nLOADC 0\nLOAD 2\nLOAD 2\nLOOP 3 2\nLOAD 2\nJMP -1\nLOAD 2\nRET", "form"),
        ("STOREN 1 2\nLOADC 0\nLOAD 2\nLOAD 2\nLOOP 9 2\nLOAD 2\nJMP -2\nLOAD 2\nRET", "form"),
        ("STOREN 1 2\nLOADC 0\nLOAD 2\nLOAD 2\nLOOP 3 1\nLOAD 2\nJMP -2\nLOAD 2\nRET", "form"),
        ("STOREN 1 2\nLOADC 0\nLOAD 2\nLOOP 3 2\nLOAD 2\nJMP -2\nLOAD 2\nRET", "takes more"),
        ("STOREN 1 2\nLOADC 0\nLOAD 2\nLOAD 2\nLOOP 3 2\nLOAD 2\nJMP -2\nLOAD 2\nRET", "a turn of"),
        (
            "STOREN 1 2\nLOADC 0\nLOAD 2\nLOAD 2\nLOOP 4 2\nDROP\nMOVE 2\nJMP -3\nLOAD 1\nRET",
            "not set on every path",
        ),
        (
            "STOREN 1 2\nLOAD 2\nJF 3\nDROPR 2\nJMP 1\nLOAD 2\nRET",
            "register 2 is read",
        ),
    ],
)
def test_refused(code: str, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        lift(model(code))
    assert "m.forward" in caught.value.message
    assert caught.value.hint


def test_operators_without_schema_are_refused_by_name() -> None:
    code = "STOREN 1 2\nLOAD 2\nOP 0\nRET"
    with pytest.raises(ModelError, match=r"my::own\.special"):
        lift(model(code, callees=(Callee("my::own", "special", 1),)))
    # The schema of the file's bytecode version decides about nothing else.
    extended = Schemas("my::own.special(Tensor a) -> Tensor\n")
    program = lift_program(model(code, callees=(Callee("my::own", "special", 1),)), extended)
    assert operators(program) == ["my::own.special"]


def test_arguments_are_completed() -> None:
    """Trailing defaults come back, before tensors to write into, and are left out again."""
    code = "STOREN 1 2\nLOAD 2\nLOAD 2\nOP 0\nLOAD 2\nMOVE 2\nOP 1\nRET"
    given = model(code, callees=(Callee("aten::add", "Tensor", 2), Callee("aten::add", "out", 3)))
    program = lift(given)
    first, second = (n for n in program.graphs["m.forward"].block.nodes if "add" in n.operator)
    assert [value.is_constant and value.constant for value in first.inputs] == [False, False, 1]
    assert [value.is_constant and value.constant for value in second.inputs] == [
        False,
        False,
        1,
        False,
    ]
    lowered = lower_program(program, SCHEMAS).functions[0]
    assert lowered.callees == given.functions[0].callees
    assert lowered.constants == ()


def test_defaults_have_the_types_of_their_arguments() -> None:
    code = "STOREN 1 2\nLOAD 2\nMOVE 2\nOP 0\nRET"
    program = lift(model(code, callees=(Callee("aten::pool", "", 2),)))
    node = program.graphs["m.forward"].block.nodes[-1]
    stride, padding, power = (value.constant for value in node.inputs[2:])
    assert isinstance(stride, List)
    assert isinstance(padding, List)
    assert (stride.type, stride.items) == ("List[int]", [])
    assert (padding.type, padding.items) == ("List[int]", [0, 0])
    assert (type(power), power) == (float, 2.0)
    assert lower_program(program, SCHEMAS).functions[0].callees[0].arguments == 2


def test_files_without_counts_pass_all_arguments() -> None:
    code = "STOREN 1 2\nLOAD 2\nMOVE 2\nLOADC 0\nOP 0\nRET"
    for count in (None, -1):
        program = lift(model(code, callees=(Callee("aten::add", "Tensor", count),)))
        (node,) = (n for n in program.graphs["m.forward"].block.nodes if "add" in n.operator)
        assert node.inputs[2].constant == 0


def test_calls_that_the_runtime_upgrades_keep_their_arguments() -> None:
    """An upgrader takes the arguments of the older schema from the stack, and no others."""
    code = "STOREN 1 2\nMOVE 2\nOP 0\nRET"
    for count in (1, None):
        old = lift(model(code, callees=(Callee("aten::gelu", "", count),), version=9))
        assert len(old.graphs["m.forward"].block.nodes[-1].inputs) == 1
        assert lower_program(old, SCHEMAS).functions[0].callees[0].arguments == 1
    new = lift(model(code, callees=(Callee("aten::gelu", "", 1),), version=10))
    assert len(new.graphs["m.forward"].block.nodes[-1].inputs) == 2


@pytest.mark.parametrize("count", [0, 4])
def test_wrong_counts_are_refused(count: int) -> None:
    code = "STOREN 1 2\nLOAD 2\nLOAD 2\nLOAD 2\nMOVE 2\nOP 0\nRET"
    with pytest.raises(ModelError, match=r"aten::add\.Tensor"):
        lift(model(code, callees=(Callee("aten::add", "Tensor", count),)))


def test_operators_of_older_files_become_instructions() -> None:
    """Before bytecode 8, promoted operators were calls."""
    code = "STOREN 1 2\nLOAD 2\nOP 0\nDROP\nLOADC 1\nOPN 1 1\nOP 2\nMOVE 2\nRET"
    callees = (
        Callee("aten::dim", "", 1),
        Callee("aten::format", "", None),
        Callee("prim::RaiseException", "", 1),
    )
    program = lift(model(code, callees=callees, constants=(0, "text")))
    lowered = lower_program(program, SCHEMAS).functions[0]
    opcodes = [step.opcode for step in lowered.instructions]
    assert [o for o in opcodes if o in ("OP", "OPN")] == []
    assert {"DIM", "FORMAT", "RAISE_EXCEPTION"} <= set(opcodes)
    assert lowered.constants == ("text", None)


def test_functions_without_schema() -> None:
    """The first instruction of old files tells how many arguments there are."""
    program = lift(model("STOREN 1 3\nLOAD 3\nRET", arguments=None))
    graph = program.graphs["m.forward"]
    assert [one.name for one in graph.arguments] == ["self", "argument_1", "argument_2"]
    assert lower_program(program, SCHEMAS).functions[0].arguments is None


def test_registers_that_both_branches_set_become_outputs() -> None:
    code = "STOREN 1 2\nLOAD 2\nJF 4\nLOADC 0\nSTORE 3\nJMP 3\nLOADC 1\nSTORE 3\nLOAD 3\nRET"
    graph = lift(model(code)).graphs["m.forward"]
    (branch,) = (node for node in graph.block.nodes if node.operator == "prim::If")
    assert graph.block.outputs == branch.outputs
    assert [block.outputs[0].constant for block in branch.blocks] == [0, None]


def test_registers_that_a_loop_changes_are_carried() -> None:
    code = """
        STOREN 1 2
        LOADC 0
        LOADC 2
        LOADC 3
        LOOP 7 2
        DROP
        LOAD 2
        OP 0
        STORE 2
        LOADC 3
        JMP -6
        LOAD 2
        RET
    """
    given = model(code, callees=(Callee("aten::relu", "", 1),), constants=(0, None, 5, True))
    graph = lift(given).graphs["m.forward"]
    (loop,) = (node for node in graph.block.nodes if node.operator == "prim::Loop")
    (body,) = loop.blocks
    assert loop.inputs[2] is graph.block.inputs[1]
    assert body.nodes[0].inputs == [body.inputs[1]]
    assert body.outputs[1] is body.nodes[0].output
    assert graph.block.outputs == loop.outputs


def test_attributes_have_names_types_and_sizes() -> None:
    storage = Storage(dtype="float32", elements=6, read=lambda: memoryview(b""))
    weight = Tensor(storage=storage, sizes=(2, 3), strides=(3, 1))
    inner = ScriptObject("m.Inner", {"count": 1, "weight": weight})
    root = ScriptObject("m", {"first": inner, "training": False})
    code = "STOREN 1 2\nLOAD 1\nGET_ATTR 0\nSTORE 3\nLOAD 3\nGET_ATTR 1\nRET"
    graph = lift(model(code, root=root)).graphs["m.forward"]
    one, two = (node.output for node in graph.block.nodes)
    assert (one.name, one.type, one.info) == ("first", "m.Inner", None)
    assert (two.name, two.type) == ("weight", "Tensor")
    assert two.info == TensorInfo("float32", (2, 3))
    # A method that sets the slot may put anything there.
    setting = code.replace("LOAD 3\n", "LOAD 3\nLOAD 2\nSET_ATTR 1\nLOAD 3\n", 1)
    graph = lift(model(setting, root=root)).graphs["m.forward"]
    (two,) = (n.output for n in graph.block.nodes if n.attributes.get("slot") == 1 and n.outputs)
    assert (two.name, two.type, two.info) == ("weight", "", None)


def test_debug_handles_stay_with_their_nodes() -> None:
    given = model("STOREN 1 2\nMOVE 2\nOP 0\nRET", callees=(Callee("aten::relu", "", 1),))
    function = replace(given.functions[0], debug_handles=(1, 2, 7, 3))
    program = lift(replace(given, functions=(function,)))
    assert program.graphs["m.forward"].block.nodes[-1].debug_handle == 7
    lowered = lower_program(program, SCHEMAS).functions[0]
    # The instruction that loads an input belongs to the node, as upstream has it.
    assert [step.opcode for step in lowered.instructions] == [
        *("STOREN", "DROPR", "MOVE", "OP", "RET")
    ]
    assert lowered.debug_handles == (-1, -1, 7, 7, -1)


def nested_branches(depth: int) -> tuple[Instruction, ...]:
    """`if` in `if`: each sets a register of its own, which all outer levels join."""
    code: list[Instruction] = []
    for level in range(depth):
        code = [Instruction("LOAD", 2), Instruction("JF", len(code) + 4), *code]
        code += [Instruction("LOADC"), Instruction("STORE", 3 + level), Instruction("JMP", 1)]
    return (Instruction("STOREN", 1, 2), *code, Instruction("LOAD", 2), RET)


def nested_loops(depth: int) -> tuple[Instruction, ...]:
    code: list[Instruction] = []
    for _ in range(depth):
        inner = [Instruction("DROP"), *code, Instruction("LOADC", 1)]
        head = [Instruction("LOADC", 0), Instruction("LOADC", 0), Instruction("LOADC", 1)]
        start = Instruction("LOOP", len(inner) + 2, 2)
        code = [*head, start, *inner, Instruction("JMP", -len(inner) - 1)]
    return (Instruction("STOREN", 1, 2), *code, Instruction("LOAD", 2), RET)


def deep_tree(depth: int) -> tuple[Instruction, ...]:
    calls = (Instruction("OP", 0),) * depth
    return (Instruction("STOREN", 1, 2), Instruction("LOAD", 2), *calls, RET)


def deep(code: tuple[Instruction, ...]) -> LiteModel:
    return model(code, callees=(Callee("aten::relu", "", 1),), registers=65_535)


@pytest.mark.parametrize(
    ("code", "operator", "depth"),
    [
        (nested_branches(1_000), "prim::If", 1_000),
        (nested_loops(300), "prim::Loop", 300),
        (deep_tree(20_000), "aten::relu", 20_000),
    ],
)
def test_nesting_is_no_recursion(code: tuple[Instruction, ...], operator: str, depth: int) -> None:
    program = lift(deep(code))
    assert operators(program).count(operator) == depth
    lowered = lower_program(program, SCHEMAS)
    assert operators(lift(lowered)) == operators(program)


@pytest.mark.parametrize("code", [nested_branches(3_000), nested_loops(3_000)])
def test_costs_are_bounded(code: tuple[Instruction, ...]) -> None:
    """Depth times size would be quadratic."""
    with pytest.raises(ModelError, match="more steps"):
        lift(deep(code))
