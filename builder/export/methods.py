"""The methods kept beside forward(), run from the lite file and in Python."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from builder.core.differences import compare_outputs
from builder.core.stages import Stage
from builder.errors import ModelError
from builder.export.compare import Sample, call_lite, load_lite, run_eager, time_call
from builder.export.preparing import twin

if TYPE_CHECKING:
    import torch


def measure_methods(
    module: torch.nn.Module,
    content: bytes,
    methods: Sequence[str],
    sample: Sample,
    *,
    base: str,
    tolerance: float | None,
) -> Iterator[Stage]:
    """Yields a stage per method of the lite file `content`, called with the inputs of forward().

    One that does not take these inputs in Python either is not compared, and its stage says so.

    Args:
        module: what the file was made of.
        content: the lite file.
        methods: their names.
        sample: inputs.
        base: the stage that `module` is.
        tolerance: as in `compare_outputs`.

    Raises:
        VerificationError: torch's lite interpreter cannot run a method that Python can.
    """
    for name in methods:
        stage = f"lite {name}()"
        try:
            expected = run_eager(getattr(twin(module), name), sample)
        except ModelError as error:
            yield Stage(name=stage, size=len(content), remark=f"not compared: {error.message}")
            continue
        # A module of its own: forward() and other methods may have changed its state.
        call = functools.partial(load_lite(content).run_method, name)
        outputs = call_lite(call, sample)
        yield Stage(
            name=stage,
            size=len(content),
            seconds=time_call(call, sample),
            against=base,
            differences=compare_outputs(outputs, expected, tolerance=tolerance),
        )
