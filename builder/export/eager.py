"""Runs models in eager mode, and reads signatures of TorchScript."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from builder.core.signatures import Signature, make_signature
from builder.core.stages import RanBy, Stage
from builder.export.compare import run_eager, time_call
from builder.export.forms import Form
from builder.export.samples import Sample


def measure_eager(name: str, module: torch.nn.Module, samples: Sequence[Sample]) -> Form:
    """Runs the eager form and returns it; the other forms are compared with its outputs.

    Raises:
        ModelError: the module does not run on a sample.
    """
    outputs = tuple(run_eager(module, sample) for sample in samples)
    stage = Stage(
        name=name,
        size=_count_bytes(module),
        seconds=time_call(module, samples[0]),
        by=RanBy.PYTHON,
    )
    return Form(name=name, outputs=outputs, stage=stage)


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
