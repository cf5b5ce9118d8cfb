"""Measures how fast a model runs on a built runtime."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

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
    runtime = locate_runtime(request.runtime, host_abi=host_abi)
    check_served(info, runtime.manifest, model=request.model)
    wanted = VerifyRequest(
        model=request.model, runtime=request.runtime, method=request.method, inputs=request.inputs
    )
    # Times need inputs only, so nothing is asked of torch.
    expectation = find_expectation(wanted, info, lambda *_: None)
    seconds = []
    with open_host(runtime, runner, via=request.via) as host:
        run = functools.partial(
            run_model,
            runtime,
            request.model,
            expectation.inputs,
            host=host,
            structure=expectation.structure,
            repeat=request.calls,
            threads=request.threads,
            method=request.method,
        )
        for number in range(request.runs):
            progress.step(f"Run {number + 1} of {request.runs} on {runtime.root}")
            # Outputs of each run go to a new folder, so none of an earlier run can be read.
            with scratch_folder() as scratch:
                seconds.append(run(scratch=scratch).seconds)
        profile = None
        if request.profile:
            # A run of its own: measuring its operators makes a call slower.
            progress.step(f"Measuring operators on {runtime.root}")
            with scratch_folder() as scratch:
                profile = run(scratch=scratch, profile=True).profile
    return BenchReport(
        model=request.model.name,
        abi=runtime.manifest.abi,
        runs=tuple(seconds),
        calls=request.calls,
        threads=request.threads,
        method=request.method,
        profile=profile,
        device=find_device(info),
        inputs=tuple(str(tensor.spec) for tensor in expectation.inputs),
    )


def time_models(
    requests: Sequence[BenchRequest],
    infos: Sequence[ModelInfo],
    *,
    host_abi: str,
    runner: Runner,
    progress: Progress,
) -> tuple[BenchReport, ...]:
    """Returns what `time_model` does for several models, which are run in turn.

    A device that becomes hot or busy meanwhile then slows all of them.

    Raises:
        BuilderError: as `time_model`.
    """
    rounds = max(one.runs for one in requests)
    made: list[list[BenchReport]] = [[] for _ in requests]
    for number in range(rounds):
        for request, info, reports in zip(requests, infos, made, strict=True):
            if number < request.runs:
                progress.step(f"Round {number + 1} of {rounds}: {request.model.name}")
                once = replace(request, runs=1)
                reports.append(
                    time_model(once, info, host_abi=host_abi, runner=runner, progress=progress)
                )
    return tuple(
        replace(first, runs=(*first.runs, *(time for one in others for time in one.runs)))
        for first, *others in made
    )


def find_device(info: ModelInfo) -> str:
    """Returns what a model was exported for, by the marks that exports leave in it."""
    devices = (mark.removeprefix(_MARK) for mark in info.marks if mark.startswith(_MARK))
    return next(devices, CPU)
