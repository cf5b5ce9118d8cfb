"""Captures a module as a program without Python: by torch.export, by a trace, or by a script."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from builder.core.input_checks import INPUTS_HINT, find_misfit
from builder.core.signatures import Signature
from builder.core.stages import Stage
from builder.errors import ConfigurationError, Hint, ModelError, Use
from builder.export.capture import list_traced, script_module
from builder.export.eager import read_signature
from builder.export.forms import measure_lite
from builder.export.frozen_shapes import find_frozen_shapes
from builder.export.interpreter import Interpreter
from builder.export.knowledge import Knowledge
from builder.export.lints import check_savable, lint_graph, list_callees, refuse_custom
from builder.export.prepare_model import MethodRun, Prepared, twin
from builder.export.programs import capture_program, has_torch_export
from builder.export.request import Capture, ExportRequest, LiteFormat, MobileBackend
from builder.export.rewrite_models import describe_method, format_program
from builder.export.samples import Sample
from builder.export.save import bundle_inputs, format_lite
from builder.export.statements import take_out
from builder.export.unreadable import find_unreadable
from builder.graph.lift import lift_program
from builder.graph.program import Program
from builder.lite.read import parse_lite
from builder.system.progress import Progress

_STAGES: dict[str, str] = {
    Capture.EXPORT: "exported",
    Capture.TRACE: "traced",
    Capture.SCRIPT: "scripted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A model without Python, before it is rewritten."""

    how: str
    """`export`, `trace`, `script`, or `as is`."""
    program: Program | None
    """None if builder cannot read what torch wrote as graphs."""
    content: bytes
    """As a lite zip file."""
    signature: Signature
    """Of forward."""
    samples: tuple[Sample, ...]
    """The samples to compare with, as the program takes them: by position."""
    methods: tuple[MethodRun, ...]
    """The methods to keep besides forward, with inputs by position."""
    scripted: torch.jit.ScriptModule | None
    """None if torch.export captured the module."""
    stage: Stage
    remarks: tuple[str, ...]


def capture(
    request: ExportRequest,
    prepared: Prepared,
    knowledge: Knowledge,
    interpreter: Interpreter,
    progress: Progress,
) -> Captured:
    """Returns the module as a program, captured in the way that the request asks for.

    Raises:
        ConfigurationError: the inputs do not fit the program.
        ModelError: the module cannot be captured.
    """
    remarks: tuple[str, ...] = ()
    if _wants_program(request, prepared):
        progress.step("Capturing the model with torch.export")
        try:
            return _export(request, prepared, knowledge, interpreter)
        except ModelError as error:
            if request.capture is Capture.EXPORT:
                raise
            # A user who did not choose the way should get a file, and know why it is not the better
            # one.
            remarks = (f"the model is traced: {error.message}",)
    progress.step("Making TorchScript")
    return _script(request, prepared, knowledge, interpreter, progress, remarks)


def _wants_program(request: ExportRequest, prepared: Prepared) -> bool:
    if request.capture is not Capture.AUTO:
        return request.capture is Capture.EXPORT
    # Programs have one method, and do not contain modules that were quantised in Python.
    others = request.methods or request.quantisation or request.saving.bundle_inputs
    scripted = isinstance(prepared.module, torch.jit.ScriptModule)
    fits = not (others or scripted or prepared.is_quantised)
    ours = request.optimisation.backend in (MobileBackend.CPU, MobileBackend.VULKAN)
    return fits and ours and has_torch_export()


def _export(
    request: ExportRequest, prepared: Prepared, knowledge: Knowledge, interpreter: Interpreter
) -> Captured:
    if request.methods:
        raise ModelError(
            "torch.export captures forward only, without other methods",
            hint=Hint("leave out ", Use("methods"), ", or try ", Use("capture", "script")),
        )
    if not has_torch_export():
        raise ModelError(
            f"torch {torch.__version__} has no torch.export that builder can read",
            hint="install torch 2.5 or newer, or trace the model",
        )
    # torch.export runs the module, which may change its buffers. The comparison needs them
    # unchanged.
    exported = capture_program(twin(prepared.module), prepared.samples[0], knowledge.schemas)
    program = exported.program
    program.extra_files = request.saving.read_extra_files()
    forward = program.method("forward")
    assert forward is not None
    content = format_program(program, LiteFormat.ZIP, knowledge.schemas)
    signature = describe_method(forward)
    # An argument that the model ignores, or that was a constant, is not an input of the program.
    keys = [one.key for one in exported.inputs]
    samples = tuple(sample.select(keys) for sample in prepared.samples)
    _check_inputs(signature, samples)
    return Captured(
        how=Capture.EXPORT,
        program=program,
        content=content,
        signature=signature,
        samples=samples,
        methods=(),
        scripted=None,
        stage=_measure(Capture.EXPORT, content, samples, signature, request, prepared, interpreter),
        remarks=exported.notes,
    )


def _script(
    request: ExportRequest,
    prepared: Prepared,
    knowledge: Knowledge,
    interpreter: Interpreter,
    progress: Progress,
    remarks: tuple[str, ...],
) -> Captured:
    # Tracing may change the module's state, so the comparison runs on a copy made before it.
    eager = twin(prepared.module)
    scripted, how = script_module(
        prepared.module,
        prepared.samples[0],
        request.capture,
        methods={run.name: run.sample for run in prepared.methods},
        progress=progress,
    )
    remarks += take_out(scripted)
    check_savable(scripted, request.method_names)
    signature = read_signature(scripted, "forward")
    fit = functools.partial(_fit, how=how, signature=signature)
    samples = tuple(map(fit, prepared.samples))
    _check_inputs(signature, samples)
    remarks += _check_shapes(request, prepared, eager, scripted, how, fit)
    rewritten = request.optimisation.enabled
    remarks += lint_graph(scripted, request.method_names, rewritten=rewritten)
    # Bundled inputs are attributes and methods of the module, so they come after the lints that
    # read the user's own.
    if request.saving.bundle_inputs:
        bundle_inputs(scripted, samples[0])
    # The lite file is what the user ships, so builder optimises what it reads from there and not
    # torch's own graph.
    content = format_lite(scripted, extra_files=request.saving.read_extra_files())
    model = parse_lite(content)
    refuse_custom(list_callees(model), knowledge)
    unreadable = find_unreadable(model)
    # Without a program the file is written as torch made it: correct, and not as fast.
    program = None
    try:
        program = lift_program(model, knowledge.schemas)
    except ModelError as error:
        if request.optimisation.enabled:
            remarks += (f"the model is not optimised: {error.message}",)
    return Captured(
        how=how,
        program=program,
        content=content,
        signature=signature,
        samples=samples,
        methods=tuple(
            run if run.problem else replace(run, sample=_place(run, scripted))
            for run in prepared.methods
        ),
        scripted=scripted,
        stage=Stage(name=_name(how), size=len(content), remark=f"not run: {unreadable}")
        if unreadable
        else _measure(how, content, samples, signature, request, prepared, interpreter),
        remarks=remarks,
    )


def _fit(sample: Sample, *, how: str, signature: Signature) -> Sample:
    """Returns the inputs of forward as TorchScript takes them."""
    return sample.select(list_traced(sample)) if how == Capture.TRACE else sample.place(signature)


def _place(run: MethodRun, scripted: torch.jit.ScriptModule) -> Sample:
    return run.sample.place(read_signature(scripted, run.name))


def _name(how: str) -> str:
    return _STAGES.get(how, how)


def _measure(
    how: str,
    content: bytes,
    samples: Sequence[Sample],
    signature: Signature,
    request: ExportRequest,
    prepared: Prepared,
    interpreter: Interpreter,
) -> Stage:
    return measure_lite(
        _name(how),
        content,
        [sample.adapt(signature) for sample in samples],
        prepared.base,
        tolerance=request.tolerance,
        # The forms that follow are judged against eager PyTorch too. This one only shows whether a
        # difference begins here.
        judged=False,
        interpreter=interpreter,
    )


def _check_inputs(signature: Signature, samples: Sequence[Sample]) -> None:
    """Refuses inputs that Python accepts but TorchScript does not, such as 2.5 for an int."""
    for sample in samples:
        if misfit := find_misfit(signature, sample.specs):
            raise ConfigurationError(f"for the model as TorchScript, {misfit}", hint=INPUTS_HINT)


def _check_shapes(
    request: ExportRequest,
    prepared: Prepared,
    eager: torch.nn.Module,
    scripted: torch.jit.ScriptModule,
    how: str,
    fit: Callable[[Sample], Sample],
) -> tuple[str, ...]:
    # A script keeps its branches and shapes, so nothing can be frozen in it by chance.
    if how != Capture.TRACE and not request.second_inputs:
        return ()
    return find_frozen_shapes(
        eager,
        scripted,
        prepared.samples[0],
        fit=fit,
        seconds=request.second_inputs,
        tolerance=request.tolerance,
        seed=request.seed,
    )
