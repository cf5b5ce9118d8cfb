from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.size.treemap import Box, lay_out

WEIGHTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=60).map(
    lambda weights: sorted(weights, reverse=True)
)


@given(WEIGHTS, st.floats(1, 2000), st.floats(1, 2000))
def test_areas_are_as_the_weights_and_stay_inside(weights, width, height):
    boxes = lay_out(weights, Box(3, 5, width, height))
    assert len(boxes) == len(weights)
    for weight, box in zip(weights, boxes, strict=True):
        share = box.width * box.height / (width * height)
        assert share == pytest.approx(weight / sum(weights), rel=1e-6)
        assert box.x >= 3 - 1e-6
        assert box.y >= 5 - 1e-6
        assert box.x + box.width <= 3 + width * (1 + 1e-6)
        assert box.y + box.height <= 5 + height * (1 + 1e-6)


@given(WEIGHTS)
def test_boxes_do_not_overlap(weights):
    boxes = lay_out(weights, Box(0, 0, 100, 70))
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert min(across, down) <= 1e-6


def test_the_example_of_the_paper():
    """Weights 6 6 4 3 2 2 1 in 6 by 4: two stand upright, then two lie above the others."""
    boxes = lay_out([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert boxes[0] == pytest.approx(Box(0, 0, 3, 2))
    assert boxes[1] == pytest.approx(Box(0, 2, 3, 2))
    assert boxes[2] == pytest.approx(Box(3, 0, 12 / 7, 7 / 3))
    assert boxes[3] == pytest.approx(Box(3 + 12 / 7, 0, 9 / 7, 7 / 3))


def test_nothing_and_no_room():
    assert lay_out([], Box(0, 0, 1, 1)) == []
    assert [box.width * box.height for box in lay_out([3, 1], Box(0, 0, 0, 5))] == [0, 0]


def test_many_boxes_are_laid_out_and_weights_of_nothing_take_no_room():
    boxes = lay_out([1.0] * 20_000, Box(0, 0, 1000, 1000))
    assert sum(box.width * box.height for box in boxes) == pytest.approx(1e6)
    assert len(lay_out([1e-300, 1e-310, 0.0], Box(0, 0, 1, 1))) == 3
    assert len(lay_out([float(1 << 50), 1.0], Box(0, 0, 1e-200, 1e-200))) == 2
