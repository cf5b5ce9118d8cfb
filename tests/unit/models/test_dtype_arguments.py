import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.lite.model import OPCODES, Callee, Instruction
from builder.models.dtype_arguments import find_dtype_codes

TO = Callee("aten::to", "dtype", 5)
ADD = Callee("aten::add", "Tensor", 3)
MEAN = Callee("aten::mean", "dim", 2)
TYPE = Callee("prim::dtype", "", 1)


def code(*steps):
    return [Instruction(*(*step, 0, 0)[:3]) for step in steps]


def call_to(*dtype):
    """`self.to(dtype, False, False, None)`; constants 0 and 1 are False and None."""
    return [("LOAD", 1), *dtype, ("LOADC", 0), ("LOADC", 0), ("LOADC", 1), ("OP", 0), ("STORE", 9)]


def test_a_constant_is_found_at_its_place_among_other_numbers():
    steps = code(*call_to(("LOADC", 2)))
    assert find_dtype_codes(steps, [TO], [False, None, 5, 7]) == {5}


def test_a_constant_is_followed_through_a_register():
    steps = code(("LOADC", 2), ("STORE", 4), *call_to(("MOVE", 4)))
    assert find_dtype_codes(steps, [TO], [False, None, 15]) == {15}


def test_numbers_for_other_operators_are_no_dtypes():
    steps = code(("LOAD", 1), ("LOAD", 2), ("LOADC", 2), ("OP", 1), ("STORE", 3))
    assert find_dtype_codes(steps, [TO, ADD], [False, None, 1]) == frozenset()


def test_none_and_an_argument_left_out_mean_the_default():
    assert find_dtype_codes(code(*call_to(("LOADC", 1))), [TO], [False, None]) == frozenset()
    steps = code(("LOAD", 1), ("LOADC", 0), ("OP", 0))
    assert find_dtype_codes(steps, [MEAN], [[5]]) == frozenset()


def test_the_dtype_of_a_tensor_is_there_already():
    by_operator = code(*call_to(("LOAD", 2), ("OP", 1)))
    assert find_dtype_codes(by_operator, [TO, TYPE], [False, None]) == frozenset()
    by_instruction = code(*call_to(("LOAD", 2), ("DTYPE",)))
    assert find_dtype_codes(by_instruction, [TO], [False, None]) == frozenset()


@pytest.mark.parametrize("between", [("DEVICE",), ("DIM",), ("__NOT__",), ("__ISNOT__", "__NOT__")])
def test_instructions_leave_what_is_below_their_values(between):
    """Between a constant dtype and the call, upstream asks tensors for their devices."""
    values = [("LOAD", 2)] * (2 if "__ISNOT__" in between else 1)
    steps = [("LOAD", 1), ("LOADC", 2), *values, *((opcode,) for opcode in between), ("OP", 0)]
    call = Callee("aten::to", "dtype", 3)
    assert find_dtype_codes(code(*steps), [call], [False, None, 5]) == {5}


def test_what_is_computed_cannot_be_told():
    assert find_dtype_codes(code(*call_to(("LOAD", 7))), [TO], [False, None]) is None
    computed = code(*call_to(("LOADC", 2), ("OP", 1)))
    assert find_dtype_codes(computed, [TO, Callee("aten::neg", "int", 1)], [False, None, 5]) is None
    attribute = code(*call_to(("LOAD", 0), ("GET_ATTR", 3)))
    assert find_dtype_codes(attribute, [TO], [False, None]) is None


def test_two_values_of_one_register_cannot_be_told():
    stores = [("LOADC", 2), ("STORE", 4), ("LOADC", 3), ("STORE", 4)]
    steps = code(*stores, *call_to(("LOAD", 4)))
    assert find_dtype_codes(steps, [TO], [False, None, 5, 6]) is None


def test_the_value_of_a_branch_cannot_be_told():
    branches = [("LOAD", 2), ("JF", 3), ("LOADC", 2), ("JMP", 2), ("LOADC", 3)]
    steps = code(*branches, ("STORE", 4), *call_to(("LOAD", 4)))
    assert find_dtype_codes(steps, [TO], [False, None, 5, 6]) is None


def test_operators_that_do_not_say_how_many_arguments_they_take():
    old = Callee("aten::to", "dtype", None)
    assert find_dtype_codes(code(*call_to(("LOADC", 2))), [old], [False, None, 5]) is None
    other = Callee("aten::add", "Tensor", None)
    assert find_dtype_codes(code(("OP", 0)), [other], []) == frozenset()


numbers = st.integers(-(2**31), 2**31 - 1)
instructions = st.builds(
    Instruction,
    st.sampled_from([*OPCODES, "", "UNHEARD_OF"]),
    st.one_of(st.integers(-2, 12), numbers),
    st.integers(0, 8),
)
callees = st.builds(
    Callee,
    st.sampled_from(["aten::to", "aten::mean", "aten::can_cast", "prim::dtype", "a::b"]),
    st.sampled_from(["", "dtype", "dim"]),
    st.one_of(st.none(), st.integers(0, 6), numbers.filter(lambda number: number >= 0)),
)


@given(st.lists(instructions), st.lists(callees, max_size=4), st.lists(st.integers(), max_size=4))
def test_any_code_is_read_and_only_its_constants_are_codes(steps, operators, constants):
    found = find_dtype_codes(steps, operators, constants)
    assert found is None or found <= set(constants)


def test_an_instruction_that_names_many_registers_is_paid_for():
    told = []
    code = [Instruction("STOREN", 1, 65_535), Instruction("RET", 0, 0)]
    find_dtype_codes(code, [Callee("aten::to", "dtype", 5)], [], spend=told.append)
    assert sum(told) >= 65_535
