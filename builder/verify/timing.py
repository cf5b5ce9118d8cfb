"""How quick a model is on a built runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path

from builder.core.artifacts import BenchReport
from builder.core.inputs import sample_inputs
from builder.core.model import ModelInfo
from builder.core.tensors import Tensor
from builder.errors import ConfigurationError
from builder.system.process import Runner
from builder.system.progress import Progress
from builder.system.reference_headers import reference_path
from builder.system.references import read_reference
from builder.verify.coverage import check_served
from builder.verify.hosts import open_host
from builder.verify.located import locate_runtime
from builder.verify.requests import BenchRequest
from builder.verify.runtime import run_model


def time_model(
    request: BenchRequest, info: ModelInfo, *, host_abi: str, runner: Runner, progress: Progress
) -> BenchReport:
    """Runs the model again and again; returns how long its forward calls take.

    Raises:
        ConfigurationError: no runtime there, or no inputs to run the model with.
        VerificationError: the runtime cannot serve or run the model.
    """
    runtime = locate_runtime(request.runtime, host_abi=host_abi)
    check_served(info, runtime.manifest, model=request.model)
    inputs = _choose_inputs(request)
    seconds = []
    with open_host(runtime, runner, via=request.via) as host:
        for number in range(request.runs):
            progress.step(f"Run {number + 1} of {request.runs} on {runtime.root}")
            with tempfile.TemporaryDirectory(prefix="builder-bench-") as scratch:
                outcome = run_model(
                    runtime,
                    request.model,
                    inputs,
                    scratch=Path(scratch),
                    host=host,
                    repeat=request.calls,
                    threads=request.threads,
                )
            seconds.append(outcome.seconds)
    return BenchReport(
        model=request.model.name,
        abi=runtime.manifest.abi,
        runs=tuple(seconds),
        calls=request.calls,
        threads=request.threads,
    )


def _choose_inputs(request: BenchRequest) -> tuple[Tensor, ...]:
    if request.inputs:
        return sample_inputs(request.inputs, seed=0)
    path = reference_path(request.model)
    if not path.is_file():
        raise ConfigurationError(
            f"no reference case beside {request.model}: {path.name} is missing",
            hint="describe random inputs with --shape 1,3,224,224 --dtype float32",
        )
    return read_reference(path).inputs
