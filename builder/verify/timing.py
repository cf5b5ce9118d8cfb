"""Measures how fast a model runs on a built runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.core.artifacts import BenchReport
from builder.core.model_facts import ModelInfo
from builder.system.process import Runner
from builder.system.progress import Progress
from builder.system.scratch import scratch_folder
from builder.verify.coverage import check_served
from builder.verify.hosts import open_host
from builder.verify.request import BenchRequest, VerifyRequest
from builder.verify.runner import run_model
from builder.verify.runtime import locate_runtime
from builder.verify.verifier import find_expectation

if TYPE_CHECKING:
    from builder.verify.hosts import Host
    from builder.verify.runner import RunResult
    from builder.verify.runtime import Runtime
    from builder.verify.verifier import Expectation

CPU = "cpu"
_MARK = "optimized_for_"
"""What the attribute begins with that an export for a GPU leaves in a model."""


def time_model(
    request: BenchRequest, info: ModelInfo, *, host_abi: str, runner: Runner, progress: Progress
) -> BenchReport:
    """Runs the model several times and returns how long its calls take, in seconds.

    Raises:
        ConfigurationError: there is no runtime, or there are no inputs for the model.
        VerificationError: the runtime does not support the model or cannot run it, or the
            reference case belongs to another file.
    """
    (report,) = time_models(
        (request,), (info,), host_abi=host_abi, runner=runner, progress=progress
    )
    return report


def time_models(
    requests: Sequence[BenchRequest],
    infos: Sequence[ModelInfo],
    *,
    host_abi: str,
    runner: Runner,
    progress: Progress,
) -> tuple[BenchReport, ...]:
    """Returns what `time_model` does for several models, which are run in turn.

    A device that becomes hot or busy meanwhile then slows all of them. Programs and models are
    copied to it once.

    Raises:
        BuilderError: as `time_model`.
    """
    with contextlib.ExitStack() as stack:
        every = [
            _Timed.prepare(request, info, host_abi, stack, runner)
            for request, info in zip(requests, infos, strict=True)
        ]
        rounds = max(one.request.runs for one in every)
        for number in range(1, rounds + 1):
            for one in every:
                if number <= one.request.runs:
                    progress.step(f"Run {number} of {one.request.runs}: {one}")
                    one.seconds.append(one.run().seconds)
        return tuple(one.report(progress) for one in every)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """A model with what runs it."""

    request: BenchRequest
    info: ModelInfo
    runtime: Runtime
    expectation: Expectation
    host: Host
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def prepare(
        cls,
        request: BenchRequest,
        info: ModelInfo,
        host_abi: str,
        stack: contextlib.ExitStack,
        runner: Runner,
    ) -> _Timed:
        """Checks what can be checked without a run, and opens the host until `stack` ends."""
        runtime = locate_runtime(request.runtime, host_abi=host_abi)
        check_served(info, runtime.manifest, model=request.model)
        wanted = VerifyRequest(
            model=request.model,
            runtime=request.runtime,
            method=request.method,
            inputs=request.inputs,
        )
        return cls(
            request=request,
            info=info,
            runtime=runtime,
            # Times need inputs only, so nothing is asked of torch.
            expectation=find_expectation(wanted, info, lambda *_: None),
            host=stack.enter_context(open_host(runtime, runner, via=request.via)),
        )

    def run(self, *, profile: bool = False) -> RunResult:
        """Runs the program once."""
        # Outputs of each run go to a new folder, so none of an earlier run can be read.
        with scratch_folder() as scratch:
            return run_model(
                self.runtime,
                self.request.model,
                self.expectation.inputs,
                scratch=scratch,
                host=self.host,
                structure=self.expectation.structure,
                repeat=self.request.calls,
                threads=self.request.threads,
                method=self.request.method,
                profile=profile,
            )

    def report(self, progress: Progress) -> BenchReport:
        """Returns the times, and measures operators if they are wanted."""
        profile = None
        if self.request.profile:
            # A run of its own: measuring its operators makes a call slower.
            progress.step(f"Measuring operators: {self}")
            profile = self.run(profile=True).profile
        return BenchReport(
            model=self.request.model.name,
            abi=self.runtime.manifest.abi,
            runs=tuple(self.seconds),
            calls=self.request.calls,
            threads=self.request.threads,
            method=self.request.method,
            profile=profile,
            device=find_device(self.info),
            inputs=tuple(str(tensor.spec) for tensor in self.expectation.inputs),
        )

    def __str__(self) -> str:
        return f"{self.request.model.name} on {self.runtime.root}"


def find_device(info: ModelInfo) -> str:
    """Returns what a model was exported for, by the marks that exports leave in it."""
    devices = (mark.removeprefix(_MARK) for mark in info.marks if mark.startswith(_MARK))
    return next(devices, CPU)
