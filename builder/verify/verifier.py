"""The steps of a verification: check the model, run it, compare its outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.arrays import sample_inputs
from builder.core.artifacts import VerifyReport
from builder.core.counts import number_of
from builder.core.differences import check_finite, compare_outputs, depends_on_seed, judge_by_shape
from builder.core.input_checks import INPUTS_HINT, find_misfit, find_unpassable
from builder.core.interpreter_inputs import adapt, place
from builder.core.model_facts import ModelInfo
from builder.core.nesting import InputSpec, list_arguments, split_named
from builder.core.signatures import Signature, find_signature
from builder.core.tensors import DRAWS_SEED, Tensor
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.graph.effects import may_draw
from builder.system.process import Runner
from builder.system.progress import Progress
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path
from builder.system.scratch import scratch_folder
from builder.verify.bundled import name_source, take_bundled
from builder.verify.coverage import build_hint, check_served, find_missing_operators
from builder.verify.hosts import Host, open_host
from builder.verify.request import VerifyRequest
from builder.verify.runner import RunResult, list_registered, run_model
from builder.verify.runtime import Runtime, locate_runtime

NO_REFERENCE = "none"
_SHOWN = 10
"""How many methods an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The inputs for a model, and the outputs that it should return."""

    inputs: tuple[Tensor, ...]
    """The leaves of `structure`."""
    structure: tuple[InputSpec, ...]
    """A specification for each argument of the model."""
    outputs: tuple[Tensor, ...] | None
    """None if the expected outputs are unknown."""
    origin: str
    """Where the outputs come from, as text for people."""


Oracle = Callable[
    [Path, Sequence[InputSpec], Sequence[Tensor]], tuple[str, tuple[Tensor, ...]] | None
]
"""Runs a model in another way and returns origin and outputs; None if it cannot."""


def verify_model(
    request: VerifyRequest,
    info: ModelInfo,
    *,
    host_abi: str,
    runner: Runner,
    oracle: Oracle,
    progress: Progress,
) -> VerifyReport:
    """Runs the model on the runtime and returns how its outputs compare with PyTorch's.

    A difference is not an error: the report contains it. If the model has no reference case, the
    expected outputs come from `oracle`.

    Raises:
        ConfigurationError: there is no runtime, or there are no inputs for the model.
        ModelError: the model is not a lite file.
        VerificationError: the runtime does not support the model or cannot run it, or the
            reference case belongs to another file.
    """
    runtime = locate_runtime(request.runtime, host_abi=host_abi)
    check_served(info, runtime.manifest, model=request.model)
    with (
        open_host(runtime, runner, via=request.via) as host,
        scratch_folder() as scratch,
    ):
        # This comes before `oracle` runs the model in torch, which has more operators than a
        # runtime should have: some read files.
        check_operators(request.model, info, runtime, host)
        expectation = (
            find_expectation(request, info, oracle)
            if request.bundled_input is None
            else _find_bundled(
                request,
                info,
                oracle,
                run=lambda method: (
                    run_model(
                        runtime, request.model, (), scratch=scratch, host=host, method=method
                    ).outputs
                ),
            )
        )
        progress.step(f"Running {request.model.name} on {runtime.root}")
        run = functools.partial(
            run_model,
            runtime,
            request.model,
            expectation.inputs,
            scratch=scratch,
            host=host,
            structure=expectation.structure,
            method=request.method,
        )
        result = run(repeat=request.repeat, seed=DRAWS_SEED)
        # Without anything to compare with, outputs that are not numbers are still wrong.
        if expectation.outputs is None:
            outputs = check_finite(result.outputs)
        else:
            outputs = compare_outputs(
                result.outputs, expectation.outputs, tolerance=request.tolerance
            )
            if not all(output.ok for output in outputs) and _draws(info, run):
                outputs = judge_by_shape(outputs)
    return VerifyReport(
        model=request.model.name,
        reference=expectation.origin,
        outputs=outputs,
        seconds=result.seconds,
        method=request.method,
    )


def _draws(info: ModelInfo, run: Callable[..., RunResult]) -> bool:
    """Returns whether the outputs depend on the seed, and on nothing else but the inputs."""
    if not any(may_draw(str(operator)) for operator in info.operators):
        return False
    return depends_on_seed(lambda seed: run(seed=seed).outputs) is True


def find_expectation(request: VerifyRequest, info: ModelInfo, oracle: Oracle) -> Expectation:
    """Returns the reference case of the model, or else random inputs with outputs of `oracle`.

    A model whose method needs no inputs runs without any.

    Raises:
        ConfigurationError: there is no reference case, and no inputs that fit the model.
        VerificationError: the reference case is damaged, or belongs to another file.
    """
    _check_method(request, info)
    path = request.reference or reference_path(request.model)
    # A file that the user names counts even when inputs are given.
    if request.reference is not None or (path.is_file() and not request.inputs):
        if expectation := _from_case(path, request, info):
            return expectation
        missing = f"{path} has no call of {request.method}"
    else:
        missing = f"there is no reference case next to {request.model}: {path.name} is missing"
    # A file of an old version has no signature; the runtime then judges the inputs.
    signature = find_signature(info.signatures, request.method)
    if not request.inputs and (signature is None or find_misfit(signature, ())):
        raise ConfigurationError(missing, hint=_describe_remedy(request, info))
    inputs = sample_inputs(request.inputs, seed=request.seed)
    specs, inputs = _place(request, signature, inputs)
    _check_inputs(request, signature, specs)
    # torch's interpreter does not convert inputs, so it gets them in the form that the method
    # takes.
    given = adapt(signature, specs, inputs)
    origin, outputs = _ask(oracle, request, given, "seeded random inputs" if inputs else "")
    return Expectation(inputs=inputs, structure=specs, outputs=outputs, origin=origin)


def _find_bundled(
    request: VerifyRequest,
    info: ModelInfo,
    oracle: Oracle,
    *,
    run: Callable[[str], Sequence[Tensor]],
) -> Expectation:
    """Returns inputs that the file bundles, and what the export or torch gives for them."""
    assert request.bundled_input is not None, "the caller asks for such inputs only"
    _check_method(request, info)
    number, method = request.bundled_input, request.method
    specs, leaves = take_bundled(info.signatures, method, number, run, model=request.model.name)
    signature = find_signature(info.signatures, method)
    _check_inputs(request, signature, specs)
    path = reference_path(request.model)
    case = read_reference(path) if path.is_file() else None
    call = case.find(method) if case and case.model_sha256 == info.sha256 else None
    what = f"bundled inputs {number}"
    if case and call and call.inputs == leaves:
        origin = f"{path}, eager PyTorch {case.torch_version}, {what}"
        return Expectation(inputs=leaves, structure=specs, outputs=call.outputs, origin=origin)
    given = adapt(signature, specs, leaves)
    origin, outputs = _ask(oracle, request, given, what)
    return Expectation(inputs=leaves, structure=specs, outputs=outputs, origin=origin)


def _check_inputs(
    request: VerifyRequest, signature: Signature | None, specs: Sequence[InputSpec]
) -> None:
    """Raises ConfigurationError when a method does not take such inputs."""
    if signature is None:
        return
    if misfit := find_misfit(signature, specs):
        raise ConfigurationError(f"{request.model.name}: {misfit}", hint=INPUTS_HINT)
    if obstacle := find_unpassable(signature):
        raise ConfigurationError(
            f"{request.model.name}: {obstacle}",
            hint="give the model a method that takes tensors, numbers, lists, dicts and tuples",
        )


def _ask(
    oracle: Oracle,
    request: VerifyRequest,
    given: tuple[Sequence[InputSpec], Sequence[Tensor]],
    inputs: str,
) -> tuple[str, tuple[Tensor, ...] | None]:
    """Returns the origin of the outputs that `oracle` knows, and these outputs."""
    if (known := oracle(request.model, *given)) is None:
        return NO_REFERENCE, None
    origin, outputs = known
    return f"{origin}, {inputs}" if inputs else origin, outputs


def _place(
    request: VerifyRequest, signature: Signature | None, leaves: tuple[Tensor, ...]
) -> tuple[tuple[InputSpec, ...], tuple[Tensor, ...]]:
    """Returns the inputs by position, and their leaves."""
    if signature is not None:
        return place(signature, request.inputs, leaves)
    _, named = split_named(request.inputs)
    if named:
        raise ConfigurationError(
            f"{request.model.name} does not name the arguments of its methods",
            hint="give the inputs in the order of the arguments, without names",
        )
    return request.inputs, leaves


def _check_method(request: VerifyRequest, info: ModelInfo) -> None:
    names = [one.method for one in info.signatures if one.is_public]
    # Files of old versions do not name their methods.
    if names and request.method not in names:
        raise ConfigurationError(
            f"{request.model.name} has no method {request.method!r:.80}",
            hint=Hint("it has these: ", *_join([Use("method", name) for name in names[:_SHOWN]])),
        )


def _join(uses: Sequence[Use]) -> Iterator[Use | str]:
    for number, use in enumerate(uses):
        yield from (", ", use) if number else (use,)


def _describe_remedy(request: VerifyRequest, info: ModelInfo) -> Hint:
    if name_source(info.signatures, request.method):
        runtime = Use("runtime", str(request.runtime))
        chosen = (str(request.model), runtime, Use("bundled_input", "0"))
        return Hint("the file bundles inputs; run the first ones: ", Run("verify", chosen))
    return Hint(
        _export(request.model, request.method),
        " writes one; you can also describe random inputs with ",
        Use("inputs", "float32[1,3,224,224]"),
    )


def _export(model: Path, method: str = "forward") -> Run:
    kept = () if method == "forward" else (Use("methods", f"{method}=float32[1,3,224,224]"),)
    return Run("export", ("SOURCE", Use("output", model), *kept))


def _from_case(path: Path, request: VerifyRequest, info: ModelInfo) -> Expectation | None:
    """Returns what the case says of the method; None if it says nothing."""
    case, model = read_reference(path), request.model
    # An old case beside a new model would make a right runtime look wrong.
    if case.model_sha256 != info.sha256:
        raise VerificationError(
            f"{path} belongs to another file: it was saved for {case.model_sha256[:12]}..., "
            f"but {model} is {info.sha256[:12]}...",
            hint=Hint("export the model again: ", _export(model)),
        )
    call = case.find(request.method)
    if call is None:
        return None
    structure = list_arguments(call)
    signature = find_signature(info.signatures, request.method)
    if signature is not None and (misfit := find_misfit(signature, structure)):
        raise VerificationError(
            f"{path} has inputs that do not fit its model: {misfit}",
            hint=Hint("export the model again: ", _export(model)),
        )
    origin = f"{path}, eager PyTorch {case.torch_version}"
    return Expectation(inputs=call.inputs, structure=structure, outputs=call.outputs, origin=origin)


def check_operators(model: Path, info: ModelInfo, runtime: Runtime, host: Host) -> None:
    """Checks that the runtime has all operators of the model.

    Raises:
        VerificationError: it lacks some; the message names all of them.
    """
    missing = find_missing_operators(info, runtime.manifest)
    if missing:  # every runtime registers some operators that no manifest lists
        registered = list_registered(runtime, host=host)
        missing = find_missing_operators(info, runtime.manifest, registered=registered)
    if missing:
        raise VerificationError(
            f"the runtime lacks {number_of(len(missing), 'operator')} of {model.name}: "
            f"{', '.join(map(str, missing))}",
            hint=build_hint(model, runtime.manifest.abi),
        )
