from functools import partial

import pytest
from samples import make_info

from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.operators import Operator
from builder.selection.choose_dtypes import (
    choose_dtypes,
    find_dtypes,
    load_dtype_rules,
    narrow_dtypes,
)

RULES = load_dtype_rules()


FLOAT32 = DtypeSet.of(["float32"])
make_float = partial(make_info, dtypes=FLOAT32)


def test_a_model_without_known_inputs_may_have_everything():
    choice = find_dtypes(make_float("aten::relu"), None)
    assert choice.dtypes == EVERYTHING
    assert "m.ptl has no reference case" in choice.reason


def test_a_model_that_computes_dtypes_may_have_everything():
    choice = find_dtypes(make_float("aten::relu", dtypes=EVERYTHING), ["float32"])
    assert choice.dtypes == EVERYTHING
    assert "m.ptl can make any dtype" in choice.reason


def test_tensors_inputs_and_operators_bring_dtypes():
    choice = find_dtypes(make_float("aten::relu", "aten::fft_rfft"), ["uint8"])
    assert choice.dtypes == DtypeSet.of(["float32", "uint8", "complex64", "complex128"])
    assert str(choice.dtypes) in choice.reason


@pytest.mark.parametrize(
    ("operators", "inputs", "expected"),
    [
        (["aten::relu"], ["float32"], RULES.sets["float"]),
        (["aten::relu"], ["int8"], RULES.sets["integer"]),
        (["aten::relu"], ["float16"], RULES.sets["half"]),
        (["quantized::add"], ["float32"], RULES.sets["quantised"]),
        (["aten::quantize_per_tensor"], [], RULES.sets["quantised"]),
        (["quantized::add"], ["float16"], EVERYTHING),
        (["sparse::qlinear_dynamic"], ["float32"], RULES.sets["quantised"]),
        (["aten::view_as_complex"], ["float32"], EVERYTHING),
        (["aten::Complex"], ["float32"], EVERYTHING),
    ],
)
def test_the_smallest_set_that_serves_is_chosen(operators, inputs, expected):
    choice = choose_dtypes([find_dtypes(make_float(*operators), inputs)])
    assert choice.dtypes == expected
    assert "m.ptl has" in choice.reason


def test_models_together_get_what_serves_all():
    half = find_dtypes(make_float("aten::relu"), ["float16"])
    plain = find_dtypes(make_float("aten::relu"), ["float32"])
    unknown = find_dtypes(make_float("aten::relu"), None)
    assert choose_dtypes([plain, half]).dtypes == RULES.sets["half"]
    assert choose_dtypes([plain, unknown]) == unknown
    assert choose_dtypes([]).dtypes == EVERYTHING


def test_sets_hold_the_base_and_come_smallest_first():
    sizes = [len(dtypes.to_json()) for dtypes in RULES.sets.values()]
    assert sizes == sorted(sizes)
    assert not any(dtypes.lacks(RULES.base) for dtypes in RULES.sets.values())


@pytest.mark.parametrize(
    ("operators", "inputs", "expected"),
    [
        (["aten::relu", "aten::add.Tensor"], ["float32"], RULES.few),
        (["aten::relu"], ["float32", "int64", "bool"], RULES.few),
        # A number becomes a tensor of float64.
        (["aten::relu", "aten::add.Scalar"], ["float32"], RULES.sets["float"]),
        (["aten::relu"], ["float64"], RULES.sets["float"]),
        (["aten::relu"], ["uint8"], RULES.sets["float"]),
        (["aten::relu"], None, EVERYTHING),
    ],
)
def test_operators_that_keep_dtypes_need_few(operators, inputs, expected):
    choice = choose_dtypes([find_dtypes(make_float(*operators), inputs)])
    narrow = narrow_dtypes(choice, [Operator.parse(name) for name in operators])
    assert narrow.dtypes == expected
    assert (narrow == choice) == (expected != RULES.few)


def test_one_model_with_more_dtypes_keeps_them_for_all():
    found = [find_dtypes(make_float("aten::relu"), [dtype]) for dtype in ("float32", "int32")]
    choice = choose_dtypes(found)
    assert narrow_dtypes(choice, [Operator.parse("aten::relu")]) == choice
