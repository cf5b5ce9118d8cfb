"""Runs and measures each form that a model has on its way to the lite file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from builder.core.differences import compare_outputs
from builder.core.signatures import Signature, make_signature
from builder.core.stages import Stage, find_agreement, widen_differences
from builder.core.tensors import Tensor
from builder.errors import VerificationError
from builder.export.compare import run_eager, time_call
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.samples import Sample
from builder.export.save import format_lite

EAGER = "eager"
QUANTISED = "quantised"
OPTIMISED = "optimised"
LITE = "lite"
Outputs = tuple[tuple[Tensor, ...], ...]
"""The outputs of one form, for each sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of the model, with its outputs."""

    name: str
    outputs: Outputs
    stage: Stage


def measure_eager(name: str, module: torch.nn.Module, samples: Sequence[Sample]) -> Form:
    """Runs the eager form and returns it; the other forms are compared with its outputs.

    Raises:
        ModelError: the module does not run on a sample.
    """
    outputs = tuple(run_eager(module, sample) for sample in samples)
    stage = Stage(name=name, size=_count_bytes(module), seconds=time_call(module, samples[0]))
    return Form(name=name, outputs=outputs, stage=stage)


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
        against=base.name,
        differences=differences,
        agreement=agreement,
        judged=judged,
    )


def measure_script(
    name: str,
    module: torch.jit.ScriptModule,
    samples: Sequence[Sample],
    base: Form,
    *,
    tolerance: float | None,
    interpreter: Interpreter,
) -> Stage:
    """Saves TorchScript as a lite file, runs it, and returns its stage, which is not judged."""
    return measure_lite(
        name,
        format_lite(module),
        [sample.adapt(read_signature(module, "forward")) for sample in samples],
        base,
        tolerance=tolerance,
        judged=False,
        interpreter=interpreter,
    )


def measure_lite(
    name: str,
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    *,
    tolerance: float | None,
    judged: bool = True,
    interpreter: Interpreter,
) -> Stage:
    """Runs a lite file and returns its stage; `samples` must be in the form that forward() takes.

    Raises:
        VerificationError: torch's lite interpreter cannot load or run a file that is judged, or
            the file reached a limit.
    """
    try:
        run = interpreter.run(content, samples, timed=True)
    except VerificationError as error:
        # Later forms would reach the limit too, each only after the full time.
        if judged or (isinstance(error, InterpreterEndedError) and error.by_limit):
            raise
        return Stage(name=name, size=len(content), remark=error.message)
    stage = Stage(name=name, size=len(content), seconds=run.seconds)
    form = Form(name=name, outputs=run.outputs, stage=stage)
    return compare_forms(form, base, tolerance=tolerance, judged=judged)


def read_signature(module: torch.jit.ScriptModule, method: str) -> Signature:
    """Returns the signature of a TorchScript method, as the lite file will contain it."""
    schema = getattr(module, method).schema
    return make_signature(
        method,
        [(a.name, a.type.annotation_str, a.default_value) for a in schema.arguments],
        [result.type.annotation_str for result in schema.returns],
    )


def _count_bytes(module: torch.nn.Module) -> int:
    return sum(map(_tensor_bytes, module.state_dict().values()))


def _tensor_bytes(value: object) -> int:
    match value:
        case torch.Tensor():
            return value.numel() * value.element_size()
        case tuple() | list():  # quantised layers keep weight and bias together
            return sum(map(_tensor_bytes, value))
        case _:
            return 0
