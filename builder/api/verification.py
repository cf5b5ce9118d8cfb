"""Running models on built runtimes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.models import read_models
from builder.errors import BuilderError
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.samples import Sample
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.verify import timing, verifier
from builder.verify.timing import CPU

if TYPE_CHECKING:
    from builder.core.artifacts import BenchReport, VerifyReport
    from builder.core.nesting import InputSpec
    from builder.core.tensors import Tensor
    from builder.system.limits import Limits
    from builder.system.progress import Progress
    from builder.verify.request import BenchRequest, VerifyRequest


def verify(request: VerifyRequest, *, progress: Progress) -> VerifyReport:
    """Runs a model on a built runtime and returns how its outputs compare with PyTorch's.

    The inputs are those of the request, or else those of the reference case beside the model. If
    the request has inputs, torch computes the expected outputs in a confined process, if it is
    installed; without torch, outputs only have to be finite.

    Raises:
        ConfigurationError: there is no runtime, or there are no inputs for the model.
        ModelError: the model cannot be read, or is not a lite file.
        VerificationError: the runtime lacks something or cannot run the model, or the reference
            case belongs to another file. A difference does not raise.
    """
    (info,) = read_models((request.model,))
    return verifier.verify_model(
        request,
        info,
        host_abi=host_abi(),
        runner=Runner.inherit(),
        oracle=functools.partial(
            _run_in_torch,
            method=request.method,
            limits=request.limits,
            device=timing.find_device(info),
            progress=progress,
        ),
        progress=progress,
    )


def bench(request: BenchRequest, *, progress: Progress) -> BenchReport:
    """Runs a model again and again on a built runtime; returns how long its calls take.

    Raises:
        ConfigurationError: there is no runtime, or there are no inputs for the model.
        ModelError: the model cannot be read.
        VerificationError: the runtime lacks something, or cannot run the model.
    """
    (info,) = read_models((request.model,))
    runner = Runner.inherit()
    return timing.time_model(request, info, host_abi=host_abi(), runner=runner, progress=progress)


def bench_together(
    requests: Sequence[BenchRequest], *, progress: Progress
) -> tuple[BenchReport, ...]:
    """Returns what `bench` does for several models, which run in turn, so that times compare.

    Raises:
        BuilderError: as `bench`.
    """
    infos = read_models([request.model for request in requests])
    runner, abi = Runner.inherit(), host_abi()
    return timing.time_models(requests, infos, host_abi=abi, runner=runner, progress=progress)


def _run_in_torch(
    model: Path,
    specs: Sequence[InputSpec],
    inputs: Sequence[Tensor],
    *,
    method: str,
    limits: Limits,
    device: str = CPU,
    progress: Progress,
) -> tuple[str, tuple[Tensor, ...]] | None:
    """Runs the model in a confined process; None where torch is missing or refuses the model."""
    if device != CPU:
        progress.note(
            "no expected outputs: the model is for a GPU, and torch runs lite files on the CPU"
        )
        return None
    # Nobody has said that the model is trusted, so its code is confined.
    interpreter = Interpreter(limits, confined=True)
    sample = Sample(specs=tuple(specs), leaves=tuple(inputs))
    try:
        run = interpreter.run(model.read_bytes(), [sample], method=method)
    except InterpreterEndedError as error:
        raise InterpreterEndedError(
            f"{model}: {error.message}; nothing was run on the runtime", hint=error.hint
        ) from error
    except BuilderError as error:
        # Without torch the model still runs on the runtime, which tells something.
        progress.note(f"no expected outputs: {error.message}")
        return None
    return f"lite interpreter of PyTorch {run.torch_version}", run.outputs[0]
