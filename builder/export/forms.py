"""The forms of a model on its way to the lite file, run and measured beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.differences import compare_outputs
from builder.core.stages import Stage, find_agreement, widen_differences
from builder.core.tensors import Tensor
from builder.errors import VerificationError
from builder.export.compare import Sample, call_lite, load_lite, run_eager, time_call
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
) -> Stage:
    """Returns the stage of a TorchScript form, saved and run as a lite file; it is not judged."""
    return measure_lite(name, format_lite(module), samples, base, tolerance=tolerance, judged=False)


def measure_lite(
    name: str,
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    *,
    tolerance: float | None,
    judged: bool = True,
) -> Stage:
    """Returns the stage of a lite file.

    Raises:
        VerificationError: torch's lite interpreter cannot load or run it, and it is judged.
    """
    try:
        module = load_lite(content)
        outputs = tuple(call_lite(module, sample) for sample in samples)
    except VerificationError as error:
        if judged:
            raise
        return Stage(name=name, size=len(content), remark=error.message)
    seconds = time_call(module, samples[0])
    form = Form(
        name=name, outputs=outputs, stage=Stage(name=name, size=len(content), seconds=seconds)
    )
    return compare_forms(form, base, tolerance=tolerance, judged=judged)


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
