"""Compares the methods besides forward(), run from the lite file and in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from builder.core.differences import compare_outputs
from builder.core.stages import Stage
from builder.errors import ModelError
from builder.export.compare import run_eager
from builder.export.eager import read_signature
from builder.export.interpreter import Interpreter
from builder.export.prepare import twin
from builder.export.samples import Sample


def measure_methods(
    module: torch.nn.Module,
    scripted: torch.jit.ScriptModule,
    content: bytes,
    methods: Sequence[str],
    sample: Sample,
    *,
    base: str,
    tolerance: float | None,
    interpreter: Interpreter,
) -> Iterator[Stage]:
    """Yields a stage for each of `methods`, which are called with the inputs of forward().

    A method that does not accept these inputs in Python either is not compared; its stage has a
    remark.

    Args:
        module: the Python module from which the file was made.
        scripted: the module as TorchScript.
        content: the bytes of the lite file.
        methods: names of the methods.
        sample: the inputs.
        base: the name of the stage of `module`.
        tolerance: the largest relative difference, as in `compare_outputs`.
        interpreter: runs the file.

    Raises:
        VerificationError: torch's lite interpreter cannot run a method that Python can run.
    """
    for name in methods:
        stage = f"lite {name}()"
        try:
            # On a copy, because a method may change the state.
            expected = run_eager(getattr(twin(module), name), sample)
        except ModelError as error:
            yield Stage(name=stage, size=len(content), remark=f"not compared: {error.message}")
            continue
        # Each run loads the file: forward() and other methods may have changed its state.
        given = sample.adapt(read_signature(scripted, name))
        run = interpreter.run(content, [given], method=name, timed=True)
        yield Stage(
            name=stage,
            size=len(content),
            seconds=run.seconds,
            against=base,
            differences=compare_outputs(run.outputs[0], expected, tolerance=tolerance),
        )
