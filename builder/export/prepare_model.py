"""Prepares a model before it becomes TorchScript: its inputs, its outputs, and quantisation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from builder.core.arrays import sample_inputs
from builder.core.stages import Stage
from builder.core.tensors import Tensor
from builder.errors import Hint, ModelError, Use
from builder.export.calibration import read_samples
from builder.export.compare import check_numbers, run_eager
from builder.export.eager import measure_eager
from builder.export.forms import EAGER, QUANTISED, Form, compare_forms
from builder.export.lints import lint_module
from builder.export.load import LoadedModule, choose_inputs
from builder.export.parameters import check_names
from builder.export.quantise import qnnpack, quantise
from builder.export.request import ExportRequest, Method, Quantisation
from builder.export.samples import Sample
from builder.export.transformers import switch_nested_off
from builder.export.values import lay_out
from builder.system.progress import Progress

_RANDOM_SAMPLES = 8
"""How many random samples calibrate."""
_RANDOM_CASES = 2
"""How many random samples are compared."""
_COMPARED_SAMPLES = 8
"""How many of the samples for calibration are also compared."""
_RANDOM = Hint(
    "calibrated with random inputs: sizes and speed are right, but the outputs are not useful; "
    "give real inputs with ",
    Use("calibrate"),
)
_LOST = Hint(
    "torch's dynamic LSTM has no proj_size, for example: leave out ",
    *(Use("quantisation.method"), ", or write the layer in another way"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRun:
    """A method besides forward, as it ran in Python."""

    name: str
    sample: Sample
    outputs: tuple[Tensor, ...] = ()
    problem: str = ""
    """Why there are no outputs to compare with; empty if there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A module that is ready to be captured."""

    module: torch.nn.Module
    """The module as it was loaded, or the quantised one."""
    samples: tuple[Sample, ...]
    """The samples to compare with; the first becomes the reference case."""
    base: Form
    """The form with which later forms are compared."""
    stages: tuple[Stage, ...]
    remarks: tuple[str, ...]
    is_quantised: bool = False
    """Whether the module contains modules that were quantised in Python."""
    methods: tuple[MethodRun, ...] = ()
    """Calls of the methods to keep besides forward."""


def prepare(request: ExportRequest, loaded: LoadedModule, *, progress: Progress) -> Prepared:
    """Returns the module, quantised if the request says so, with inputs and eager outputs.

    Raises:
        ConfigurationError: the inputs of the model are unknown.
        ModelError: the model does not run on the inputs, gives NaN, or cannot be quantised.
        ToolchainError: torch cannot quantise for mobile.
    """
    quantisation = request.quantisation or loaded.quantisation
    samples, remarks = _choose_samples(request, loaded, quantisation)
    module = loaded.module
    remarks += check_names(module.forward, samples[0].specs)
    if request.channels_last:
        module = _with_channels_last(module)
        # The module's weights and its inputs have to agree, or each layer would convert.
        samples = tuple(replace(sample, channels_last=True) for sample in samples)
    remarks = (*lint_module(module, trained=loaded.trained), *remarks)
    if any(isinstance(part, torch.nn.TransformerEncoder) for part in module.modules()):
        # The user's own object may be in use elsewhere.
        module = twin(module)
        remarks += switch_nested_off(module)
    # Calibration takes many samples; comparing each of them would take most of the time.
    compared = samples[:_COMPARED_SAMPLES]
    compared = (*compared, *_mirror(module, request, compared))
    eager = measure_eager(EAGER, twin(module), compared)
    if request.reference:
        check_numbers(eager.outputs[0])
    if quantisation is None:
        stages: tuple[Stage, ...] = (eager.stage,)
        return Prepared(module=module, samples=compared, base=eager, stages=stages, remarks=remarks)
    with qnnpack():
        quantised = quantise(module, quantisation, samples, progress)
        base = _measure_quantised(quantised, compared)
    stage = compare_forms(base, eager, tolerance=request.tolerance, judged=False)
    _check_shapes(base, eager)
    stages = (eager.stage, stage)
    return Prepared(
        module=quantised,
        samples=compared,
        base=base,
        stages=stages,
        remarks=remarks,
        is_quantised=True,
    )


def _measure_quantised(module: torch.nn.Module, samples: Sequence[Sample]) -> Form:
    try:
        return measure_eager(QUANTISED, twin(module), samples)
    except ModelError as error:
        raise ModelError(
            f"the model runs, but not its quantised form: {error.message}",
            hint=Hint(
                *("try the other ", Use("quantisation.flow"), ", or leave out "),
                Use("quantisation.method"),
            ),
        ) from error


def _check_shapes(quantised: Form, eager: Form) -> None:
    """Raises ModelError when quantisation changed a dtype or a shape: torch lost something."""
    for got, wanted in zip(quantised.outputs, eager.outputs, strict=True):
        now, before = (", ".join(str(one.spec) for one in outputs) for outputs in (got, wanted))
        if now != before:
            raise ModelError(
                f"quantised, the model returns {now} instead of {before}: torch left out a part "
                "of a layer that it quantised",
                hint=_LOST,
            )


def _mirror(
    module: torch.nn.Module, request: ExportRequest, samples: Sequence[Sample]
) -> tuple[Sample, ...]:
    """Returns the first random sample with the signs of its floats changed, if the module takes it.

    A trace may have frozen decisions of the model that depend on signs.
    """
    # Samples for calibration are many already.
    if len(samples) > _RANDOM_CASES or request.calibrate:
        return ()
    mirrored = samples[0].mirror()
    if mirrored is None:
        return ()
    try:
        run_eager(twin(module), mirrored)
    except ModelError:
        return ()
    return (mirrored,)


def twin(module: torch.nn.Module) -> torch.nn.Module:
    """Returns a copy to run, so that running does not change the state that is saved.

    If the module cannot be copied, it is returned itself.
    """
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001 - the user's attributes may refuse in any way
        return module


def _choose_samples(
    request: ExportRequest, loaded: LoadedModule, quantisation: Quantisation | None
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    specs = request.inputs or loaded.usual_inputs
    if request.calibrate:
        return read_samples(request.calibrate, folder=request.folder, specs=specs), ()
    specs = choose_inputs(request.source, loaded, specs)
    static = quantisation is not None and quantisation.method is Method.STATIC
    # More than one, since a trace may have frozen what depends on the values of the first.
    number = _RANDOM_SAMPLES if static else _RANDOM_CASES
    seeds = range(request.seed, request.seed + number)
    samples = tuple(Sample(specs=specs, leaves=sample_inputs(specs, seed=seed)) for seed in seeds)
    return samples, (_RANDOM,) if static else ()


def _with_channels_last(module: torch.nn.Module) -> torch.nn.Module:
    for weight in module.parameters():
        weight.data = lay_out(weight.data)
    return module
