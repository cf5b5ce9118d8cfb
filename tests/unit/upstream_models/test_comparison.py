from __future__ import annotations

import struct
from pathlib import Path

import pytest

from builder.core.tensors import DType, Tensor, TensorSpec
from upstream_models.comparison import Case, Certainty, judge


def floats(*values: float) -> Tensor:
    spec = TensorSpec(DType.FLOAT32, (len(values),))
    return Tensor(spec, struct.pack(f"<{len(values)}f", *values))


def case(*outputs: tuple[Tensor, Certainty]) -> Case:
    return Case(
        file=Path("m.ptl"),
        method="forward",
        inputs=(),
        outputs=tuple(tensor for tensor, _ in outputs),
        certain=tuple(certainty for _, certainty in outputs),
    )


def test_equal_numbers_are_compared_and_the_largest_difference_is_kept():
    wanted = case((floats(1.0), Certainty.EXACT), (floats(2.0), Certainty.RANDOM))
    judged = judge(wanted, [floats(1.0), floats(2.00002)])
    assert (judged.compared, judged.shapes, judged.problems) == (2, 0, ())
    assert judged.largest == pytest.approx(1e-5, rel=0.01)


def test_other_numbers_are_a_problem_where_they_are_certain():
    judged = judge(case((floats(1.0), Certainty.EXACT)), [floats(3.0)])
    assert judged.problems == ("forward, output 0, float32[1]: difference 2",)
    assert judged.compared == 0


@pytest.mark.parametrize("certainty", [Certainty.RANDOM, Certainty.SHAPE])
def test_where_numbers_are_not_certain_the_shape_counts(certainty):
    judged = judge(case((floats(1.0), certainty)), [floats(3.0)])
    assert (judged.compared, judged.shapes, judged.problems) == (0, 1, ())
    assert judge(case((floats(1.0), certainty)), [floats(3.0, 4.0)]).problems


def test_outputs_too_few_or_too_many_are_problems():
    wanted = case((floats(1.0), Certainty.RANDOM))
    assert judge(wanted, []).problems
    assert judge(wanted, [floats(1.0), floats(2.0)]).problems
