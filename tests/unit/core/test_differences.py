import math

import numpy as np
import pytest

from builder.core.artifacts import OutputDifference
from builder.core.differences import check_finite, compare_outputs, count_nan, tolerance_for
from builder.core.tensors import DType, Tensor, TensorSpec


def tensor(values: object, dtype: str = "float32") -> Tensor:
    array = np.asarray(values, dtype)
    return Tensor(TensorSpec(DType(dtype), array.shape), array.tobytes())


def compare(
    actual: object, expected: object, dtype: str = "float32", tolerance: float | None = None
) -> OutputDifference:
    (difference,) = compare_outputs(
        [tensor(actual, dtype)], [tensor(expected, dtype)], tolerance=tolerance
    )
    return difference


def test_difference_is_absolute_below_one_and_relative_above() -> None:
    difference = compare([0.5, 100.5], [0.0, 100.0])
    assert (difference.max_absolute, difference.max_relative) == (0.5, 0.5)
    assert compare([100.5], [100.0]).max_relative == pytest.approx(0.005)


@pytest.mark.parametrize(("delta", "ok"), [(5e-5, True), (2e-4, False)])
def test_float32_tolerance(delta: float, ok: bool) -> None:
    assert compare([0.5 + delta], [0.5]).ok is ok


def test_chosen_tolerance_replaces_that_of_floats_only() -> None:
    assert compare([1.4], [1.0], tolerance=0.5).ok
    assert not compare([2], [1], "int64", tolerance=5.0).ok


def test_float64_scalars_are_judged_as_float32() -> None:
    assert tolerance_for(TensorSpec(DType.FLOAT64, ()), None) == 1e-4
    assert tolerance_for(TensorSpec(DType.FLOAT64, (1,)), None) == 1e-6


def test_integers_that_float64_cannot_tell_apart_differ() -> None:
    assert not compare([2**53 + 1], [2**53], "int64").ok
    assert compare([2**53], [2**53], "int64").ok


@pytest.mark.parametrize(
    "actual", [[1.0, 2.0], [math.nan, math.nan], [math.inf, math.nan], [-math.inf, 2.0]]
)
def test_nan_and_infinity_must_be_in_the_same_places(actual: list[float]) -> None:
    difference = compare(actual, [math.inf, 2.0])
    assert not difference.ok
    assert "other places" in difference.problem
    assert compare([math.inf, math.nan], [math.inf, math.nan]).ok


@pytest.mark.parametrize(
    ("actual", "word"), [([[1.0]], "expected float32[1]"), (None, "expected float32[1]")]
)
def test_shapes_and_counts_must_match(actual: object, word: str) -> None:
    given = [] if actual is None else [tensor(actual)]
    (difference,) = compare_outputs(given, [tensor([1.0])])
    assert not difference.ok
    assert word in difference.problem


def test_output_that_pytorch_does_not_give_is_reported() -> None:
    differences = compare_outputs([tensor([1.0]), tensor([2.0])], [tensor([1.0])])
    assert [d.ok for d in differences] == [True, False]


def test_outputs_that_zeros_would_pass_are_pointed_out() -> None:
    tiny = compare([3e-9], [3e-9])
    assert tiny.ok
    assert "zeros" in tiny.problem
    assert compare([0.5], [0.5]).problem == ""
    assert compare(np.zeros((0,)), np.zeros((0,))).problem == ""
    assert compare([0], [0], "int64").problem == ""


def test_without_expected_outputs_only_finiteness_is_judged() -> None:
    good, bad = check_finite([tensor([1.0]), tensor([math.nan])])
    assert (good.ok, good.max_absolute) == (True, None)
    assert not bad.ok
    assert count_nan(tensor([math.nan, 1.0])) == 1
