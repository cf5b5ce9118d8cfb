"""Runs and measures each form that a model has on its way to the lite file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from builder.core.differences import compare_outputs
from builder.core.stages import Stage, find_agreement, widen_differences
from builder.core.tensors import DRAWS_SEED, Tensor
from builder.errors import BuilderError, Hint, ToolchainError, Use, VerificationError
from builder.export.interpreter import InterpreterEndedError, LackingError, LiteRun
from builder.export.samples import Sample

EAGER = "eager"
QUANTISED = "quantised"
OPTIMISED = "optimised"
LITE = "lite"
NO_GPU = "not run: torch runs files for the CPU only"
"""A remark on the stage of a model for the GPU."""
FIND_PASS = Hint(
    "this is a fault of a pass, or of the kernels of that torch, and worth a report. Until it is ",
    *("mended, leave out a pass: ", Use("optimisation.left_out", "prepack"), ", or all of them: "),
    Use("optimisation.enabled", False),
)
"""What helps against a file that does not compute what its source does."""
Outputs = tuple[tuple[Tensor, ...], ...]
"""The outputs of one form, for each sample."""


class LiteInterpreter(Protocol):
    """Runs lite files: torch in a separate process (`Interpreter`), or a runtime of builder."""

    def run(
        self,
        content: bytes,
        samples: Sequence[Sample],
        *,
        method: str = "forward",
        timed: bool = False,
        seed: int = DRAWS_SEED,
    ) -> LiteRun:
        """Runs a method on `samples`, as `Interpreter.run` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of the model, with its outputs."""

    name: str
    outputs: Outputs
    stage: Stage


def compare_forms(form: Form, base: Form, *, tolerance: float | None, judged: bool) -> Stage:
    """Returns the stage of `form` with its largest differences from `base` over all samples."""
    pairs = list(zip(form.outputs, base.outputs, strict=True))
    compared = [compare_outputs(*pair, tolerance=tolerance) for pair in pairs]
    agreements = [find_agreement(*pair) for pair in pairs]
    differences = compared[0]
    for more in compared[1:]:
        differences = widen_differences(differences, more)
    agreement = agreements[0]
    for other in agreements[1:]:
        # One comparison without classes makes a rate over all of them meaningless.
        agreement = agreement + other if agreement and other else None
    return Stage(
        name=form.stage.name,
        size=form.stage.size,
        seconds=form.stage.seconds,
        by=form.stage.by,
        samples=len(pairs),
        against=base.name,
        differences=differences,
        agreement=agreement,
        judged=judged,
    )


def measure_if_runnable(
    name: str,
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    *,
    tolerance: float | None,
    interpreter: LiteInterpreter,
    source: bytes,
    method: str = "forward",
) -> Stage:
    """Returns the stage of a lite file as `measure_lite` does, or one that says why it did not run.

    A torch without XNNPACK, for example, cannot run what is packed for it. `source` is the file
    before any pass: what torch runs of it, it has to run of the file too.

    Raises:
        InterpreterEndedError: the file crashed torch, or reached a limit.
        VerificationError: the file fails where its source does not.
    """
    try:
        return measure_lite(
            name,
            content,
            samples,
            base,
            tolerance=tolerance,
            interpreter=interpreter,
            method=method,
        )
    # A crash is not a form that this torch cannot run, and must not look like one.
    except InterpreterEndedError:
        raise
    except BuilderError as error:
        lacks = isinstance(error, LackingError | ToolchainError)
        if not lacks and _runs(interpreter, source, samples, method):
            raise VerificationError(
                f"{name}: {error.message}\n  and it runs the source", hint=FIND_PASS
            ) from error
        remark = f"not run: {error.message}"
        return Stage(name=name, size=len(content), remark=remark, judged=False)


def _runs(
    interpreter: LiteInterpreter, content: bytes, samples: Sequence[Sample], method: str
) -> bool:
    try:
        interpreter.run(content, samples, method=method)
    except BuilderError:
        return False
    return True


def owe(stage: Stage, *, compared: bool) -> Stage:
    """Returns the stage of a file that did not run, with a remark on what the user still has to do.

    `compared`: whether the stage before it was compared.
    """
    before = " The stage before it was compared." if compared else ""
    remark = Hint(
        f"{stage.remark}.{before} The file itself still needs builder verify on a runtime, or an "
        "export with ",
        Use("prove"),
    )
    return replace(stage, remark=remark)


def measure_lite(
    name: str,
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    *,
    tolerance: float | None,
    judged: bool = True,
    interpreter: LiteInterpreter,
    method: str = "forward",
) -> Stage:
    """Runs a lite file and returns its stage; `samples` must be in the form that `method` takes.

    Raises:
        VerificationError: torch's lite interpreter cannot load or run a file that is judged, or
            the file reached a limit.
    """
    try:
        run = interpreter.run(content, samples, method=method, timed=True)
    except VerificationError as error:
        # Later forms would reach the limit too, each only after the full time.
        if judged or (isinstance(error, InterpreterEndedError) and error.by_limit):
            raise
        return Stage(name=name, size=len(content), remark=error.message)
    stage = Stage(name=name, size=len(content), seconds=run.seconds, by=run.by)
    form = Form(name=name, outputs=run.outputs, stage=stage)
    return compare_forms(form, base, tolerance=tolerance, judged=judged)
