"""Prints differences between outputs on a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable

from builder.cli.console import print_table
from builder.core.artifacts import OutputDifference
from builder.core.differences import BY_SHAPE


def print_differences(differences: Iterable[OutputDifference]) -> None:
    """Prints one line per output."""
    print_table(
        ("output", "type", "max abs", "max rel", "tolerance", "verdict"),
        (
            (
                difference.index,
                difference.spec,
                _format(difference.max_absolute),
                _format(difference.max_relative),
                "-" if difference.max_absolute is None else _format(difference.tolerance),
                _verdict(difference),
            )
            for difference in differences
        ),
    )


def differences_json(differences: Iterable[OutputDifference]) -> list[dict[str, object]]:
    """Returns the differences as values for JSON; infinity and NaN become null."""
    return [
        {
            "index": difference.index,
            "max_absolute": _finite(difference.max_absolute),
            "max_relative": _finite(difference.max_relative),
            "ok": difference.ok,
            "problem": difference.problem,
            "spec": difference.spec,
            "tolerance": difference.tolerance,
        }
        for difference in differences
    ]


def _verdict(difference: OutputDifference) -> str:
    if difference.problem == BY_SHAPE:
        return "by shape"
    if difference.problem:
        return f"ok, but {difference.problem}" if difference.ok else difference.problem
    if difference.max_absolute is None:
        return "finite; not compared"
    return "ok" if difference.ok else "differs"


def _format(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def _finite(value: float | None) -> float | None:
    # JSON has neither infinity nor NaN (RFC 8259, section 6).
    return value if value is not None and math.isfinite(value) else None
