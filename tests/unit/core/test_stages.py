from dataclasses import replace

import numpy as np
import pytest

from builder.core.arrays import to_tensor
from builder.core.artifacts import OutputDifference
from builder.core.stages import Agreement, Stage, find_agreement, widen_differences
from builder.core.tensors import DType, TensorSpec

FINE = OutputDifference(
    index=0, spec="float32[1]", max_absolute=1.0, max_relative=0.5, tolerance=1.0, ok=True
)


def scores(*rows, dtype=DType.FLOAT32):
    array = np.array(rows)
    return (to_tensor(array, TensorSpec(dtype, array.shape)),)


def test_agreement_counts_rows_with_the_same_class():
    found = find_agreement(scores([1, 2], [3, 0]), scores([0, 9], [0, 1]))
    assert found == Agreement(same=1, rows=2)
    assert found + found == Agreement(same=2, rows=4)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (scores([1, 2]) * 2, scores([1, 2]) * 2),
        (scores([1, 2]), scores([1, 2], [1, 2])),
        (scores([1], [2]), scores([1], [2])),
        (scores([1, 2], dtype=DType.INT64), scores([1, 2], dtype=DType.INT64)),
        (scores([[1, 2]]), scores([[1, 2]])),
        ((), ()),
    ],
)
def test_what_is_no_classifier_does_not_agree(left, right):
    assert find_agreement(left, right) is None


def test_the_worse_difference_stays():
    worse, failed = replace(FINE, max_relative=0.9), replace(FINE, max_relative=0.1, ok=False)
    assert widen_differences((FINE,), (worse,)) == (worse,)
    assert widen_differences((worse,), (FINE,)) == (worse,)
    assert widen_differences((worse,), (failed,)) == (failed,)
    assert widen_differences((FINE,), (FINE, failed)) == (FINE, failed)


def test_a_stage_is_off_only_where_it_is_judged():
    off = replace(FINE, ok=False, max_absolute=3.0)
    stage = Stage(name="lite", size=1, differences=(FINE, off))
    assert (stage.ok, stage.max_absolute, stage.max_relative) == (False, 3.0, 0.5)
    assert replace(stage, judged=False).ok
    assert Stage(name="eager", size=1).max_absolute is None
