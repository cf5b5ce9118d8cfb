"""What lowering writes: instructions, registers, and tables without duplicates."""

from __future__ import annotations

import pytest

from builder.core.operator_schemas import Schemas
from builder.errors import ModelError
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.lower import lower_program
from builder.graph.placing import Registers
from builder.graph.program import Program
from builder.lite.model import Argument, Callee, Function
from builder.lite.objects import List, ScriptObject

SCHEMAS = Schemas(
    """\
t::one(Tensor a) -> Tensor
t::two(Tensor a, Tensor b, *, Scalar alpha=1) -> Tensor
t::pair(Tensor a) -> (Tensor, Tensor)
t::any(str self, ...) -> str
prim::TupleUnpack(Any tup) -> ...
"""
)


def constant(value: object) -> Node:
    return Node("prim::Constant", [], [Value()], {"value": value})


def graph(inputs: list[Value], nodes: list[Node], output: Value) -> Graph:
    arguments = tuple(Argument(f"a{number}", "Tensor") for number in range(len(inputs)))
    return Graph(
        name="m.forward",
        block=Block(inputs, nodes, [output]),
        arguments=arguments,
        results=(Argument("", "Tensor"),),
    )


def lower(given: Graph, **others: object) -> Function:
    program = Program(
        root=ScriptObject("m"), graphs={given.name: given}, operator_version=10, **others
    )
    return lower_program(program, SCHEMAS).functions[0]


def code(function: Function) -> list[str]:
    return [f"{step.opcode} {step.x} {step.n}".removesuffix(" 0") for step in function.instructions]


def test_values_that_are_used_once_and_in_order_stay_on_the_stack() -> None:
    x, y = Value(), Value()
    one = Node("t::one", [x], [Value()])
    other = Node("t::one", [y], [Value()])
    alpha = constant(1)
    both = Node("t::two", [one.output, other.output, alpha.output], [Value()])
    function = lower(graph([x, y], [one, other, alpha, both], both.output))
    assert code(function) == ["STOREN 1 2", "MOVE 1", "OP 0", "MOVE 2", "OP 0", "OP 1", "RET 0"]
    assert function.callees == (Callee("t::one", "", 1), Callee("t::two", "", 2))
    assert function.constants == ()


def test_values_that_are_used_out_of_order_are_stored() -> None:
    x = Value()
    one, other = Node("t::one", [x], [Value()]), Node("t::one", [x], [Value()])
    alpha = constant(2)
    both = Node("t::two", [other.output, one.output, alpha.output], [Value()])
    function = lower(graph([x], [one, other, alpha, both], both.output))
    # The register of `x` is free when its last use has taken the value.
    assert code(function) == [
        *("STORE 1", "LOAD 1", "OP 0", "STORE 2", "MOVE 1", "OP 0", "MOVE 2", "LOADC 0"),
        *("OP 1", "RET 0"),
    ]
    assert (function.registers, function.callees[1].arguments) == (2, 3)


def test_what_nobody_uses_is_dropped_at_once() -> None:
    x = Value()
    alone = Node("t::one", [x], [Value()])
    pair = Node("t::pair", [x], [Value(), Value()])
    function = lower(graph([x, Value()], [alone, pair], pair.outputs[1]))
    assert code(function) == [
        *("STOREN 1 2", "DROPR 2", "LOAD 1", "OP 0", "DROP 0", "MOVE 1", "OP 1"),
        *("STOREN 1 2", "DROPR 1", "MOVE 2", "RET 0"),
    ]


def branch(flag: Value, x: Value) -> Node:
    steps = [Node("t::one", [x], [Value()]) for _ in range(2)]
    blocks = [Block([], [step], [step.output]) for step in steps]
    return Node("prim::If", [flag], [Value()], {}, blocks)


def test_a_value_whose_last_use_is_in_a_branch_is_cleared_behind_it() -> None:
    flag, x = Value(), Value()
    node = branch(flag, x)
    assert code(lower(graph([flag, x], [node], node.output))) == [
        *("STOREN 1 2", "MOVE 1", "JF 4", "LOAD 2", "OP 0", "JMP 3", "LOAD 2", "OP 0"),
        *("DROPR 2", "RET 0"),
    ]


def test_a_loop_never_moves_what_the_next_turn_reads() -> None:
    flag, x, y = Value(), Value(), Value()
    most = constant(3)
    turn, carried = Value(), Value()
    step = Node("t::two", [carried, x, most.output], [Value()])
    body = Block([turn, carried], [step], [flag, step.output])
    loop = Node("prim::Loop", [most.output, flag, y], [Value()], {}, [body])
    function = lower(graph([flag, x, y], [most, loop], loop.output))
    assert code(function) == [
        *("STOREN 1 3", "LOADC 0", "LOADC 1", "LOAD 1", "MOVE 3", "LOOP 9 3"),
        *("STOREN 3 2", "DROPR 3", "LOAD 1", "MOVE 4", "LOAD 2", "LOADC 1", "OP 0", "JMP -8"),
        *("DROPR 1", "DROPR 2", "RET 0"),
    ]
    assert function.constants == (0, 3)


def test_constants_are_written_once_and_types_of_numbers_count() -> None:
    shared = List("List[int]", [1])
    values = [1, 1, True, 1.0, 0.0, -0.0, 0, False, None, "1", shared, List("List[int]", [1])]
    values += [shared, float("nan"), float("nan")]
    nodes = [constant(value) for value in values]
    made = Node("prim::TupleConstruct", [node.output for node in nodes], [Value()])
    function = lower(graph([Value()], [*nodes, made], made.output))
    kinds = [(type(value), repr(value)) for value in function.constants]
    assert len(function.constants) == 12
    assert len(set(kinds)) == 11  # of lists, which code may change, two are equal
    loads = [step.x for step in function.instructions if step.opcode == "LOADC"]
    assert [function.constants[x] for x in loads[:4]] == [1, 1, True, 1.0]
    assert function.constants[loads[10]] is function.constants[loads[12]] is shared


def test_types_are_written_once() -> None:
    x = Value()
    first = Node("prim::ListConstruct", [x], [Value()], {"type": "List[int]"})
    second = Node("prim::ListConstruct", [x], [Value()], {"type": "List[int]"})
    kinds = ("int", "List[int]")
    ask = Node("prim::isinstance", [x], [Value()], {"types": kinds})
    again = Node("prim::isinstance", [x], [Value()], {"types": kinds})
    nodes = [first, second, ask, again]
    made = Node("prim::TupleConstruct", [node.output for node in nodes], [Value()])
    function = lower(graph([x], [*nodes, made], made.output))
    assert function.types == ("List[int]", *kinds)
    assert "ISINSTANCE 1 2" in code(function)


def many(count: int) -> Graph:
    x = Value()
    made = Node("prim::ListConstruct", [x] * count, [Value()], {"type": "List[Tensor]"})
    return graph([x], [made], made.output)


def test_bounds_of_the_format() -> None:
    assert "LIST_CONSTRUCT 0 65535" in code(lower(many(65_535)))
    with pytest.raises(ModelError, match=r"m\.forward .* 65,536"):
        lower(many(65_536))
    x = Value()
    parts = Node("prim::ListUnpack", [x], [Value() for _ in range(65_535)])
    more = Node("prim::ListUnpack", [x], [Value() for _ in range(10)])
    made = Node("prim::TupleConstruct", [*parts.outputs, *more.outputs], [Value()])
    with pytest.raises(ModelError, match="65,535 registers"):
        lower(graph([x], [parts, more, made], made.output))


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (Node("t::unknown", [], [Value()]), "schema of t::unknown is not known"),
        (Node("t::one", [], [Value()]), "t::one has 0 inputs instead of 1"),
        (Node("prim::TupleUnpack", [Value()], []), "empty tuple"),
    ],
)
def test_refused(node: Node, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        lower(graph([*node.inputs, Value()], [node], constant(1).output))


def test_variadic_operators_say_how_many_values_they_take() -> None:
    x = Value()
    node = Node("t::any", [x, x, x], [Value()])
    function = lower(graph([x], [node], node.output))
    assert "OPN 0 3" in code(function)
    assert function.callees == (Callee("t::any", "", None),)


def test_records_of_the_old_code_are_left_out() -> None:
    given = many(1)
    records = {"code/m.py": b"1", "code/m.py.debug_pkl": b"2", "callstack_debug_map.pkl": b"3"}
    program = Program(
        root=ScriptObject("m"),
        graphs={given.name: given},
        operator_version=10,
        extra_files={"info": b"4"},
        records=records,
    )
    model = lower_program(program, SCHEMAS)
    assert (model.bytecode_version, model.operator_version) == (8, 10)
    assert list(model.records) == ["code/m.py.debug_pkl", "callstack_debug_map.pkl"]
    assert model.extra_files == {"info": b"4"}


def test_registers_in_a_row() -> None:
    registers = Registers()
    assert [registers.take(1), registers.take(3), registers.take(2)] == [1, 2, 5]
    for register in (1, 3, 4, 6):
        registers.release(register)
    assert registers.take(2) == 3
    assert registers.take(2) == 6  # 1 is free too, but not in a row with another one
    assert [registers.take(1), registers.take(1)] == [1, 8]
    assert registers.size == 8
