"""The forms of a model on its way to the lite file, run and measured beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.differences import compare_outputs
from builder.core.signatures import Signature, make_signature
from builder.core.stages import Stage, find_agreement, widen_differences
from builder.core.tensors import Tensor
from builder.errors import VerificationError
from builder.export.compare import Sample, run_eager, time_call
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.save import format_lite

if TYPE_CHECKING:
    import torch

EAGER = "eager"
QUANTISED = "quantised"
OPTIMISED = "optimised"
LITE = "lite"
Outputs = tuple[tuple[Tensor, ...], ...]
"""Of one form, per sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form, with what it gave."""

    name: str
    outputs: Outputs
    stage: Stage


def measure_eager(name: str, module: torch.nn.Module, samples: Sequence[Sample]) -> Form:
    """Returns the eager form; its outputs are what others are compared with.

    Raises:
        ModelError: it does not run on a sample.
    """
    outputs = tuple(run_eager(module, sample) for sample in samples)
    stage = Stage(name=name, size=_count_bytes(module), seconds=time_call(module, samples[0]))
    return Form(name=name, outputs=outputs, stage=stage)


def compare_forms(form: Form, base: Form, *, tolerance: float | None, judged: bool) -> Stage:
    """Returns the stage of `form` with its differences from `base`, the worst of all samples."""
    pairs = list(zip(form.outputs, base.outputs, strict=True))
    compared = [compare_outputs(*pair, tolerance=tolerance) for pair in pairs]
    agreements = [find_agreement(*pair) for pair in pairs]
    differences = compared[0]
    for more in compared[1:]:
        differences = widen_differences(differences, more)
    agreement = agreements[0]
    for other in agreements[1:]:
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
    """Returns the stage of a TorchScript form, saved and run as a lite file; it is not judged."""
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
    """Returns the stage of a lite file; `samples` are as its forward() takes them.

    Raises:
        VerificationError: torch's lite interpreter cannot load or run it, and it is judged; or it
            reached a limit.
    """
    try:
        run = interpreter.run(content, samples, timed=True)
    except VerificationError as error:
        # Later forms reach a limit as well, each after the whole time.
        if judged or (isinstance(error, InterpreterEndedError) and error.by_limit):
            raise
        return Stage(name=name, size=len(content), remark=error.message)
    stage = Stage(name=name, size=len(content), seconds=run.seconds)
    form = Form(name=name, outputs=run.outputs, stage=stage)
    return compare_forms(form, base, tolerance=tolerance, judged=judged)


def read_signature(module: torch.jit.ScriptModule, method: str) -> Signature:
    """Returns what a method of TorchScript takes, as the lite file will have it."""
    schema = getattr(module, method).schema
    return make_signature(
        method,
        [(a.name, a.type.annotation_str, a.default_value) for a in schema.arguments],
        [result.type.annotation_str for result in schema.returns],
    )


def _count_bytes(module: torch.nn.Module) -> int:
    return sum(map(_tensor_bytes, module.state_dict().values()))


def _tensor_bytes(value: object) -> int:
    import torch

    match value:
        case torch.Tensor():
            return value.numel() * value.element_size()
        case tuple() | list():  # quantised layers keep weight and bias together
            return sum(map(_tensor_bytes, value))
        case _:
            return 0
