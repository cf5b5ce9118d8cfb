"""Compares a rewritten file with what the reference case of its source says of other methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.core.nesting import list_arguments
from builder.core.signatures import Signature
from builder.core.stages import Stage
from builder.core.tensors import Call
from builder.export.forms import Form, measure_if_runnable
from builder.export.interpreter import Interpreter
from builder.export.samples import Sample


def measure_calls(
    calls: Sequence[tuple[Call, Signature]],
    content: bytes,
    *,
    base: str,
    tolerance: float | None,
    interpreter: Interpreter,
    source: bytes,
) -> Iterator[Stage]:
    """Yields a stage for each of `calls`, run from a lite file.

    Args:
        calls: the calls, and the signature of the method of each.
        content: the bytes of the lite file.
        base: the name of the stage that the outputs of the calls belong to.
        tolerance: the largest relative difference, as in `compare_outputs`.
        interpreter: runs the file.
        source: the lite file that it was made of.

    Raises:
        InterpreterEndedError: the file crashed torch, or reached a limit.
        VerificationError: the file fails where its source does not.
    """
    for call, signature in calls:
        sample = Sample(specs=list_arguments(call), leaves=call.inputs).adapt(signature)
        stage = Stage(name=f"lite {call.method}()", size=len(content))
        form = Form(name=base, outputs=(call.outputs,), stage=stage)
        yield measure_if_runnable(
            stage.name,
            content,
            [sample],
            form,
            tolerance=tolerance,
            interpreter=interpreter,
            source=source,
            method=call.method,
        )
