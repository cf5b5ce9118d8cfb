"""Runs the methods besides forward(), in Python and from the lite file, and compares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from builder.core.arrays import sample_inputs
from builder.core.input_checks import find_misfit
from builder.core.nesting import MethodInputs
from builder.core.stages import Stage
from builder.errors import ConfigurationError, Hint, ModelError, Use
from builder.export.capture import check_methods
from builder.export.compare import call_eager, check_numbers
from builder.export.eager import read_signature
from builder.export.forms import Form, measure_lite
from builder.export.interpreter import Interpreter
from builder.export.parameters import check_names, needs_inputs
from builder.export.prepare_model import MethodRun, Prepared, twin
from builder.export.request import ExportRequest
from builder.export.samples import Sample
from builder.export.values import flatten_outputs


def run_methods(request: ExportRequest, prepared: Prepared) -> tuple[MethodRun, ...]:
    """Returns a call of each method that `request` wants to keep.

    A method without inputs of its own is called without any if it needs none, and otherwise with
    those of forward(). If it does not take them, or returns what cannot be compared, the result
    says so.

    Raises:
        ConfigurationError: a method is named twice, or is forward.
        ModelError: the model lacks a method, or the method does not run on inputs of its own.
    """
    _check_names(request.method_names)
    check_methods(prepared.module, request.method_names)
    return tuple(_run(one, request, prepared) for one in request.methods)


def _check_names(names: tuple[str, ...]) -> None:
    for name, count in Counter(("forward", *names)).items():
        if count > 1:
            raise ConfigurationError(
                f"the method {name} is named twice"
                if name != "forward"
                else "forward is kept anyway",
                hint=Hint(
                    "give the inputs of forward by ",
                    *(Use("inputs", "float32[1,3,224,224]"), ", and name each other method once"),
                ),
            )


def _run(wanted: MethodInputs, request: ExportRequest, prepared: Prepared) -> MethodRun:
    # On a copy, because a method may change the state.
    method = getattr(twin(prepared.module), wanted.name)
    sample = _choose_sample(wanted, method, request, prepared)
    if wanted.inputs is not None:
        check_names(method, wanted.inputs)
    try:
        returned = call_eager(method, sample, remedy=_describe_remedy(wanted.name))
    except ModelError as error:
        if wanted.inputs is not None:
            raise ModelError(f"{wanted.name}(): {error.message}", hint=error.hint) from error
        # The inputs of forward() were only a guess, so that they do not fit is no failure of the
        # export.
        problem = Hint(f"{error.message}; ", *_describe_remedy(wanted.name).parts)
        return MethodRun(name=wanted.name, sample=sample, problem=problem)
    try:
        outputs = flatten_outputs(returned)
    except ModelError as error:
        return MethodRun(name=wanted.name, sample=sample, problem=error.message)
    if request.reference:
        check_numbers(outputs)
    return MethodRun(name=wanted.name, sample=sample, outputs=outputs)


def _choose_sample(
    wanted: MethodInputs, method: object, request: ExportRequest, prepared: Prepared
) -> Sample:
    specs = wanted.inputs
    if specs is None and callable(method) and not needs_inputs(method):
        specs = ()
    if specs is None:
        return prepared.samples[0]
    return Sample(
        specs=specs,
        leaves=sample_inputs(specs, seed=request.seed),
        channels_last=request.channels_last,
    )


def _describe_remedy(name: str) -> Hint:
    return Hint("describe its inputs: ", Use("methods", f"{name}=float32[2,3], 2"))


def measure_methods(
    scripted: torch.jit.ScriptModule,
    content: bytes,
    runs: Sequence[MethodRun],
    *,
    base: str,
    tolerance: float | None,
    interpreter: Interpreter,
) -> Iterator[Stage]:
    """Yields a stage for each of `runs`, run from a lite file.

    Args:
        scripted: the module as TorchScript.
        content: the bytes of the lite file.
        runs: the methods as they ran in Python, with inputs by position.
        base: the name of the stage that they belong to.
        tolerance: the largest relative difference, as in `compare_outputs`.
        interpreter: runs the file.

    Raises:
        ConfigurationError: inputs fit a method in Python, but not in TorchScript.
        VerificationError: torch's lite interpreter cannot run a method that Python can run.
    """
    for run in runs:
        stage = Stage(name=f"lite {run.name}()", size=len(content))
        if run.problem:
            parts = run.problem.parts if isinstance(run.problem, Hint) else (run.problem,)
            yield Stage(name=stage.name, size=stage.size, remark=Hint("not compared: ", *parts))
            continue
        signature = read_signature(scripted, run.name)
        if misfit := find_misfit(signature, run.sample.specs):
            raise ConfigurationError(
                f"for the model as TorchScript, {misfit}", hint=_describe_remedy(run.name)
            )
        # Each run loads the file: forward() and other methods may have changed its state.
        yield measure_lite(
            stage.name,
            content,
            [run.sample.adapt(signature)],
            Form(name=base, outputs=(run.outputs,), stage=stage),
            tolerance=tolerance,
            interpreter=interpreter,
            method=run.name,
        )
