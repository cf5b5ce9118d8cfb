"""Finds out whether a trace froze the shapes of its inputs, by running it with other shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from builder.core.arrays import sample_inputs
from builder.core.differences import compare_outputs
from builder.core.nesting import Group, InputSpec, Named, name_inputs
from builder.core.tensors import Tensor, TensorSpec
from builder.errors import Hint, ModelError, Use
from builder.export.compare import run_eager
from builder.export.samples import Sample

Change = Callable[[TensorSpec], TensorSpec]
_IMAGE_DIMS = 4
_STEP = 32
"""Networks that halve their inputs five times need sizes that are multiples of this."""


def find_frozen_shapes(
    eager: torch.nn.Module,
    traced: torch.nn.Module,
    sample: Sample,
    *,
    fit: Callable[[Sample], Sample],
    seconds: Sequence[InputSpec],
    tolerance: float | None,
    seed: int,
) -> tuple[str, ...]:
    """Returns a remark for each variation of the shapes for which only the eager model is right.

    Args:
        eager: the model in Python.
        traced: the trace of the model with `sample`.
        sample: the inputs with the first shapes.
        fit: returns inputs as the trace takes them.
        seconds: inputs of other shapes that the user wants to try; empty: a larger batch, and a
            larger last dimension (for images the last two), if the eager model accepts them.
        tolerance: the largest relative difference, as in `compare_outputs`.
        seed: seed for the values of the inputs.

    Raises:
        ModelError: the eager model does not run on `seconds`.
    """
    if not (seconds or sample.leaves):
        return ()  # there is no shape to vary
    variations = (
        (("these shapes", name_inputs(sample.specs, seconds)),)
        if seconds
        else tuple(_vary(sample.specs))
    )
    remarks = []
    for what, specs in variations:
        # The same seed with other shapes: values do not matter, shapes do.
        other = replace(sample, specs=specs, leaves=sample_inputs(specs, seed=seed))
        try:
            expected = run_eager(eager, other)
        except ModelError:
            if seconds:
                raise
            continue  # the model supports only its first shape
        if problem := _find_problem(traced, fit(other), expected, tolerance):
            remarks.append(
                Hint(
                    f"the trace is wrong for other shapes: with {what}, {other}, it {problem}; ",
                    *(Use("capture", "script"), " keeps the code that depends on shapes"),
                )
            )
    return tuple(remarks)


def _find_problem(
    traced: torch.nn.Module, sample: Sample, expected: Sequence[Tensor], tolerance: float | None
) -> str:
    try:
        outputs = run_eager(traced, sample)
    except ModelError:
        return "fails"
    differences = compare_outputs(outputs, expected, tolerance=tolerance)
    return "" if all(d.ok for d in differences) else "gives other outputs than the model"


def _vary(specs: Sequence[InputSpec]) -> Iterator[tuple[str, tuple[InputSpec, ...]]]:
    yield "a larger batch", tuple(_map(spec, _enlarge_batch) for spec in specs)
    yield "larger inputs", tuple(_map(spec, _enlarge_last) for spec in specs)


def _map(spec: InputSpec, change: Change) -> InputSpec:
    match spec:
        case TensorSpec():
            return change(spec)
        case Named():
            return replace(spec, spec=_map(spec.spec, change))
        case Group():
            return replace(spec, items=tuple(_map(item, change) for item in spec.items))
        case _:
            return spec


def _enlarge_batch(spec: TensorSpec) -> TensorSpec:
    if not spec.shape:
        return spec
    return replace(spec, shape=(spec.shape[0] + 1, *spec.shape[1:]))


def _enlarge_last(spec: TensorSpec) -> TensorSpec:
    if len(spec.shape) >= _IMAGE_DIMS:
        *first, height, width = spec.shape
        return replace(spec, shape=(*first, height + _STEP, width + _STEP))
    if not spec.shape:
        return spec
    *first, last = spec.shape
    return replace(spec, shape=(*first, last + 1))
