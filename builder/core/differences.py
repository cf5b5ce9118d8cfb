"""Compares the outputs of a runtime with the expected outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from builder.core.arrays import Array, to_array
from builder.core.artifacts import OutputDifference
from builder.core.tensors import DRAWS_SEED, DType, Tensor, TensorSpec

_TOLERANCES = {DType.FLOAT16: 1e-2, DType.FLOAT32: 1e-4, DType.FLOAT64: 1e-6}
"""Dtype -> largest relative difference that is allowed by default."""
_MISSING = "missing"
BY_SHAPE = "shape and dtype fit; the values are random"
"""The problem of outputs that are ok though their values differ: the model draws random numbers."""
_ALL_TINY = "this proves little: zeros would pass as well"


def tolerance_for(spec: TensorSpec, chosen: float | None) -> float:
    """Returns the largest relative difference that is allowed for an output.

    Integers and bools must be equal. For floats it is `chosen`, or a default for the dtype when
    that is None. A float64 without dimensions counts as float32, because it is usually a Python
    float that the model read out of a float32 tensor.
    """
    if spec.dtype not in _TOLERANCES:
        return 0.0
    if chosen is not None:
        return chosen
    python_float = spec == TensorSpec(DType.FLOAT64, ())
    return _TOLERANCES[DType.FLOAT32 if python_float else spec.dtype]


def compare_outputs(
    actual: Sequence[Tensor], expected: Sequence[Tensor], *, tolerance: float | None = None
) -> tuple[OutputDifference, ...]:
    """Returns one difference per output, also for outputs that only one side has.

    Args:
        actual: the outputs of the runtime.
        expected: the outputs of PyTorch.
        tolerance: replaces the default of each dtype, for floats only.
    """
    count = max(len(actual), len(expected))
    return tuple(
        _compare(
            index,
            actual[index] if index < len(actual) else None,
            expected[index] if index < len(expected) else None,
            tolerance,
        )
        for index in range(count)
    )


def judge_by_shape(differences: Sequence[OutputDifference]) -> tuple[OutputDifference, ...]:
    """Returns the differences with those of values only as ok, for a model that draws numbers."""
    return tuple(
        one if one.ok or one.problem else replace(one, ok=True, problem=BY_SHAPE)
        for one in differences
    )


def depends_on_seed(run: Callable[[int], Sequence[Tensor]]) -> bool | None:
    """Returns whether other seeds give other outputs; None if one seed does too.

    Args:
        run: takes a seed for the generator that operators draw from, and returns the outputs.
    """
    first, again, other = (tuple(run(seed)) for seed in (DRAWS_SEED, DRAWS_SEED, DRAWS_SEED + 1))
    return first != other if first == again else None


def check_finite(outputs: Sequence[Tensor]) -> tuple[OutputDifference, ...]:
    """Returns a result for outputs without expected ones: it is ok when all values are finite."""
    findings = []
    for index, tensor in enumerate(outputs):
        finite = bool(np.isfinite(_as_float(tensor)).all())
        findings.append(
            OutputDifference(
                index=index,
                spec=str(tensor.spec),
                max_absolute=None,
                max_relative=None,
                tolerance=0.0,
                ok=finite,
                problem="" if finite else "has NaN or infinity",
            )
        )
    return tuple(findings)


def count_nan(tensor: Tensor) -> int:
    """Returns the number of elements that are NaN."""
    return int(np.isnan(_as_float(tensor)).sum())


def _compare(
    index: int, actual: Tensor | None, expected: Tensor | None, chosen: float | None
) -> OutputDifference:
    if actual is None or expected is None or actual.spec != expected.spec:
        got = str(actual.spec) if actual is not None else _MISSING
        wanted = str(expected.spec) if expected is not None else _MISSING
        return _different(index, got, f"expected {wanted}")
    tolerance = tolerance_for(expected.spec, chosen)
    left, right = _as_float(actual), _as_float(expected)
    # NaN and infinity would make every distance NaN, which no tolerance refuses.
    if not _same_specials(left, right):
        return _different(
            index, str(expected.spec), "NaN or infinity is in other places than expected"
        )
    absolute, relative = _distances(left, right)
    exact = expected.spec.dtype not in _TOLERANCES
    if exact and absolute == 0.0 and actual.data != expected.data:
        absolute = relative = 1.0  # int64 beyond 2^53: float64 is too coarse to show the difference
    # Where all expected values are below the tolerance, a runtime that computes nothing would pass.
    proves_something = exact or not right.size or _zeros_differ(right, tolerance)
    return OutputDifference(
        index=index,
        spec=str(expected.spec),
        max_absolute=absolute,
        max_relative=relative,
        tolerance=tolerance,
        ok=relative <= tolerance,
        problem=_ALL_TINY if relative <= tolerance and not proves_something else "",
    )


def _different(index: int, spec: str, problem: str) -> OutputDifference:
    return OutputDifference(
        index=index,
        spec=spec,
        max_absolute=math.inf,
        max_relative=math.inf,
        tolerance=0.0,
        ok=False,
        problem=problem,
    )


def _as_float(tensor: Tensor) -> Array:
    # One type for all dtypes: integers up to 2^53 are exact in it.
    return to_array(tensor).astype(np.float64)


def _same_specials(left: Array, right: Array) -> bool:
    special = ~np.isfinite(right)
    return bool(
        np.array_equal(~np.isfinite(left), special)
        and np.array_equal(left[special], right[special], equal_nan=True)
    )


def _zeros_differ(right: Array, tolerance: float) -> bool:
    return not np.isfinite(right).all() or _distances(np.zeros_like(right), right)[1] > tolerance


def _distances(left: Array, right: Array) -> tuple[float, float]:
    finite = np.isfinite(right)
    if not finite.any():
        return 0.0, 0.0
    absolute = np.abs(left[finite] - right[finite])
    # Below 1 the absolute difference counts: relative ones of numbers near zero say nothing.
    relative = absolute / np.maximum(np.abs(right[finite]), 1.0)
    return float(absolute.max()), float(relative.max())
