"""Computes the layout of a squarified treemap.

The algorithm is from Bruls, Huizing, van Wijk: Squarified Treemaps (2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in any unit of length."""

    x: float
    y: float
    width: float
    height: float

    def shrink(self, margin: float, top: float) -> Box:
        """Returns the box inside a margin and below a title of height `top`."""
        width = max(self.width - 2 * margin, 0.0)
        height = max(self.height - margin - top, 0.0)
        return Box(self.x + margin, self.y + top, width, height)


def lay_out(weights: Sequence[float], box: Box) -> list[Box]:
    """Returns a box per weight, in order; areas are proportional to weights and fill `box`.

    Args:
        weights: positive numbers, largest first.
        box: the box to fill.
    """
    boxes: list[Box] = []
    scale = box.width * box.height / (sum(weights) or 1)
    areas = [weight * scale for weight in weights]
    start = 0
    while start < len(areas):
        side = min(box.width, box.height)
        row = areas[start : _end_row(areas, start, side)]
        start += len(row)
        boxes += _place(row, box)
        thickness = sum(row) / side if side else 0.0
        if box.width >= box.height:
            # Rounding could make the rest negative by a hair.
            box = Box(box.x + thickness, box.y, max(box.width - thickness, 0.0), box.height)
        else:
            box = Box(box.x, box.y + thickness, box.width, max(box.height - thickness, 0.0))
    return boxes


def _end_row(areas: Sequence[float], start: int, side: float) -> int:
    """Returns the end of the row of `areas` from `start` on whose boxes are closest to squares.

    The row is laid along `side`, the shorter side of the free box. It ends before the first area
    that would make the worst ratio of width and height worse.
    """
    best, total = float("inf"), 0.0
    for place in range(start, len(areas)):
        total += areas[place]
        flat = not side or not total or not areas[place]
        worst = (
            0.0
            if flat
            # The largest and the smallest area of a row have its worst ratios.
            else max(side**2 * areas[start] / total**2, total**2 / (side**2 * areas[place]))
        )
        if worst > best:
            return place
        best = worst
    return len(areas)


def _place(row: Sequence[float], box: Box) -> Iterator[Box]:
    thickness = sum(row) / (min(box.width, box.height) or 1)
    offset = 0.0
    for area in row:
        length = area / thickness if thickness else 0.0
        if box.width >= box.height:
            yield Box(box.x, box.y + offset, thickness, length)
        else:
            yield Box(box.x + offset, box.y, length, thickness)
        offset += length
