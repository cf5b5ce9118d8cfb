"""Packed weights that XNNPACK's operators would not take are refused."""

from __future__ import annotations

import pytest

from builder.errors import ModelError
from builder.graph.packed import check_packed
from builder.lite.objects import CustomObject, List
from tests.unit.graph.writing import ramp, read_program

LINEAR, CONVOLUTION = "xnnpack.LinearOpContext", "xnnpack.Conv2dOpContext"
PAIR = List("List[int]", [1, 1])


def check(name: str, state: object) -> None:
    packed = CustomObject(name, state)
    check_packed(read_program("(%self, %x: Tensor)\nyield %x", {"packed": packed}))


@pytest.mark.parametrize(
    ("name", "state"),
    [
        (LINEAR, (ramp(3, 4), None, None, None)),
        (LINEAR, (ramp(3, 4), ramp(3), 0, 6.0)),
        (CONVOLUTION, (ramp(3, 4, 1, 1), None, PAIR, PAIR, PAIR, 1, 0.0, None)),
    ],
)
def test_well_formed(name, state):
    check(name, state)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        (LINEAR, ()),
        (LINEAR, (1,)),
        (LINEAR, ("a", "b", "c", "d")),
        (LINEAR, (None, None, None, None)),
        (LINEAR, (ramp(3, 4), None, float("nan"), None)),
        (LINEAR, (ramp(3), None, None, None)),
        (CONVOLUTION, (ramp(3, 4, 1, 1), None, PAIR, PAIR, 1, None, None)),
        (CONVOLUTION, (ramp(3, 4, 1, 1), None, PAIR, PAIR, PAIR, 0, None, None)),
    ],
)
def test_damaged(name, state):
    with pytest.raises(ModelError, match="are damaged"):
        check(name, state)
