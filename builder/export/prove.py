"""Runs the lite file of an export on a runtime of builder, before the file is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from builder.core.artifacts import OutputDifference
from builder.core.counts import number_of
from builder.core.differences import depends_on_seed, judge_by_shape
from builder.core.nesting import list_arguments
from builder.core.stages import Stage
from builder.core.tensors import Call
from builder.errors import BuilderError
from builder.export.forms import LITE, Form, LiteInterpreter, Outputs, measure_lite
from builder.export.samples import Sample

RUNTIME = "runtime"
SOURCE = "source"


class OpenRuntime(Protocol):
    """Finds or builds a runtime of builder for this machine."""

    def __call__(
        self, needed: Sequence[bytes], samples: Sequence[Sample], *, useful: Sequence[bytes] = ()
    ) -> AbstractContextManager[LiteInterpreter]:
        """Returns a runtime that runs lite files until the context ends.

        Args:
            needed: the lite files that it has to run.
            samples: inputs for them, which tell the dtypes that it needs.
            useful: lite files that it can run too, if it is built here.

        Raises:
            BuilderError: it cannot be built, or the one that the user named lacks something.
        """


def prove(
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    calls: Sequence[Call],
    *,
    tolerance: float | None,
    runtime: LiteInterpreter,
) -> tuple[Stage, ...]:
    """Returns the stages of a lite file on a runtime: forward, and each of `calls`.

    Args:
        content: the lite file.
        samples: inputs by position.
        base: the form with the expected outputs, one for each of `samples`.
        calls: calls of other methods, with their expected outputs.
        tolerance: the largest relative difference, as in `compare_outputs`.
        runtime: runs the file.

    Raises:
        VerificationError: the runtime cannot run the file.
    """
    stages = [_measure(RUNTIME, content, samples, base, "forward", tolerance, runtime)]
    for call in calls:
        sample = Sample(specs=list_arguments(call), leaves=call.inputs)
        form = replace(base, outputs=(call.outputs,))
        name = f"{RUNTIME} {call.method}()"
        stages.append(_measure(name, content, [sample], form, call.method, tolerance, runtime))
    return tuple(stages)


def prove_file(
    content: bytes,
    source: bytes,
    samples: Sequence[Sample],
    outputs: Outputs,
    calls: Sequence[Call],
    *,
    tolerance: float | None,
    open_runtime: OpenRuntime,
) -> tuple[Stage, ...]:
    """Returns the stages of a lite file on a runtime, compared with the file as it was.

    Args:
        content: the lite file.
        source: the file before any pass, if only the runtime can run it; otherwise empty.
        samples: inputs by position.
        outputs: of the file before any pass, for each of `samples`; empty if they are unknown.
        calls: calls of other methods, with their expected outputs.
        tolerance: the largest relative difference, as in `compare_outputs`.
        open_runtime: finds or builds the runtime.

    Raises:
        BuilderError: as `open_runtime` does.
        VerificationError: the runtime cannot run a file.
    """
    needed, useful = ((content,), (source,)) if outputs else ((content, source), ())
    with open_runtime(needed, samples, useful=tuple(filter(None, useful))) as runtime:
        stages: tuple[Stage, ...] = ()
        if not outputs:
            run = runtime.run(source, samples, timed=True)
            outputs = run.outputs
            stages = (
                Stage(
                    name=SOURCE,
                    size=len(source),
                    seconds=run.seconds,
                    by=run.by,
                    remark="builder's runtime ran the file as it was before any pass",
                ),
            )
        if source:
            samples, outputs = add_mirrored(samples, outputs, source, runtime)
        base = Form(name=SOURCE, outputs=outputs, stage=Stage(name=SOURCE, size=len(source)))
        proven = prove(content, samples, base, calls, tolerance=tolerance, runtime=runtime)
        # A file that draws numbers draws others than the torch that saved the expected outputs.
        return (*stages, *(_allow(stage, content, samples[0], runtime) for stage in proven))


def add_mirrored(
    samples: Sequence[Sample], outputs: Outputs, source: bytes, interpreter: LiteInterpreter
) -> tuple[Sequence[Sample], Outputs]:
    """Returns samples and outputs, with the first one mirrored if `source` takes such values."""
    mirrored = samples[0].mirror()
    if mirrored is None:
        return samples, outputs
    try:
        return (*samples, mirrored), (*outputs, *interpreter.run(source, [mirrored]).outputs)
    except BuilderError:
        return samples, outputs


def describe_stage(name: str) -> str:
    """Returns how a message calls a stage."""
    names = {LITE: "the lite file", RUNTIME: "the lite file on builder's runtime"}
    return names.get(name, name)


def choose_differences(stages: Sequence[Stage]) -> tuple[OutputDifference, ...]:
    """Returns those of forward from the lite file, on the runtime or else in torch."""
    final = (stage for stage in reversed(stages) if stage.name in (RUNTIME, LITE))
    return next(final).differences


def _measure(
    name: str,
    content: bytes,
    samples: Sequence[Sample],
    base: Form,
    method: str,
    tolerance: float | None,
    runtime: LiteInterpreter,
) -> Stage:
    stage = measure_lite(
        name, content, samples, base, tolerance=tolerance, interpreter=runtime, method=method
    )
    compared = number_of(stage.samples, "sample")
    return replace(stage, remark=f"builder's runtime ran the lite file on {compared} of inputs")


def _allow(stage: Stage, content: bytes, sample: Sample, runtime: LiteInterpreter) -> Stage:
    if stage.ok or not depends_on_seed(
        lambda seed: runtime.run(content, [sample], seed=seed).outputs[0]
    ):
        return stage
    return replace(stage, differences=judge_by_shape(stage.differences))
