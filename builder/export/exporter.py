"""The steps of an export: load, prepare, capture, optimise, save, compare, write."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from builder.core.differences import compare_outputs
from builder.core.known import KnownOperators
from builder.core.nesting import Group, GroupKind, InputSpec, is_flat
from builder.core.signatures import INPUTS_HINT, find_misfit
from builder.core.stages import Stage
from builder.core.tensors import ReferenceCase
from builder.errors import ConfigurationError, ModelError, VerificationError
from builder.export.capture import script_module
from builder.export.compare import find_failure, one_thread, run_eager
from builder.export.forms import LITE, OPTIMISED, measure_lite, measure_script, read_signature
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.lints import check_python_free, lint_graph
from builder.export.load import find_file, load_requested
from builder.export.methods import measure_methods
from builder.export.optimise import optimise_module
from builder.export.output import write_model
from builder.export.prepare import Prepared, prepare, twin
from builder.export.quantise import qnnpack
from builder.export.request import Capture, ExportRequest, ExportResult, MobileBackend
from builder.export.save import backport, bundle_inputs, format_lite, read_bytecode_version
from builder.export.shapes import find_frozen_shapes
from builder.system.progress import Progress

_NOT_RUN = "not run: torch's lite interpreter on this machine runs only files for the CPU"
_STAGES: dict[str, str] = {Capture.TRACE: "traced", Capture.SCRIPT: "scripted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A lite file in memory, before it is written."""

    content: bytes
    capture: str
    stages: tuple[Stage, ...]
    """The last stage is the one of `content`."""
    remarks: tuple[str, ...]


def export_model(
    request: ExportRequest,
    *,
    torch_version: str,
    known: KnownOperators,
    interpreter: Interpreter,
    progress: Progress,
) -> ExportResult:
    """Writes the lite file and the reference case that `request` asks for.

    The file is written only after torch's own lite interpreter has run it and its outputs agree
    with the eager model, or if the request says to keep it anyway. `failure` of the result says
    what differs.

    Args:
        request: what to export, and how.
        torch_version: the version of the installed torch, which can do the export.
        known: operators that builder can build; the result has a remark on each other operator.
        interpreter: runs lite files, and loads TorchScript files before this process does.
        progress: is informed of each step.

    Raises:
        ConfigurationError: the inputs are unknown, or the output cannot be written.
        ModelError: the model cannot be loaded, run, quantised, captured, optimised or saved.
        ToolchainError: torchvision is missing, or torch lacks a feature that the export needs.
        VerificationError: torch's lite interpreter cannot run the file.
    """
    interpreter.start()  # the child process imports torch while this one loads the model
    with (
        warnings.catch_warnings(),
        torch.no_grad(),
        one_thread(),
        qnnpack(required=bool(request.quantisation)),
    ):
        warnings.simplefilter("ignore")  # script_module shows the warnings that matter
        progress.step(f"Loading {request.source} with torch {torch_version}")
        _try_loading(request, interpreter)
        prepared = prepare(request, load_requested(request), progress=progress)
        made = _make(request, prepared, known, interpreter, progress)
        failure = _judge(made, prepared, request)
        return _write(request, prepared, made, failure, torch_version)


def _try_loading(request: ExportRequest, interpreter: Interpreter) -> None:
    """Loads a TorchScript file in the child process first, which may crash or loop for ever."""
    path = find_file(request.source, request.folder)
    if path is None or not path.is_file():
        return
    try:
        interpreter.try_loading(path.read_bytes())
    except InterpreterEndedError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error


def _make(
    request: ExportRequest,
    prepared: Prepared,
    known: KnownOperators,
    interpreter: Interpreter,
    progress: Progress,
) -> Made:
    optimisation, first = request.optimisation, prepared.samples[0]
    progress.step(
        "Making TorchScript"
        + (f", optimised for {optimisation.backend}" if optimisation.enabled else "")
    )
    # Tracing may change the module's state, so the comparison runs on a copy made before it.
    eager = twin(prepared.module)
    scripted, captured = script_module(
        prepared.module, first, request.capture, methods=request.methods, progress=progress
    )
    check_python_free(scripted, request.methods)
    _check_inputs(scripted, prepared)
    remarks = prepared.remarks + _check_shapes(request, prepared, eager, scripted, captured)
    stages = [
        *prepared.stages,
        _measure(_STAGES.get(captured, captured), scripted, request, prepared, interpreter),
    ]
    final = optimise_module(scripted, optimisation, first, request.methods)
    remarks += lint_graph(final, request.methods, known)
    if optimisation.enabled and _runs_here(request):
        # The lite file may differ from it: by bundled inputs, extra files or older bytecode.
        stages.append(_measure(OPTIMISED, final, request, prepared, interpreter))
    progress.step("Comparing the lite file with eager PyTorch")
    content = _save(final, request, prepared)
    stages += _measure_file(content, scripted, request, prepared, interpreter)
    return Made(content=content, capture=captured, stages=tuple(stages), remarks=remarks)


def _check_inputs(scripted: torch.jit.ScriptModule, prepared: Prepared) -> None:
    """Refuses inputs that Python accepts but TorchScript does not, such as 2.5 for an int."""
    signature = read_signature(scripted, "forward")
    for sample in prepared.samples:
        if misfit := find_misfit(signature, sample.specs):
            raise ConfigurationError(f"for the model as TorchScript, {misfit}", hint=INPUTS_HINT)


def _measure(
    name: str,
    module: torch.jit.ScriptModule,
    request: ExportRequest,
    prepared: Prepared,
    interpreter: Interpreter,
) -> Stage:
    return measure_script(
        name,
        module,
        prepared.samples,
        prepared.base,
        tolerance=request.tolerance,
        interpreter=interpreter,
    )


def _measure_file(
    content: bytes,
    scripted: torch.jit.ScriptModule,
    request: ExportRequest,
    prepared: Prepared,
    interpreter: Interpreter,
) -> Iterator[Stage]:
    if not _runs_here(request):  # operators of another backend may crash without its device
        yield Stage(name=LITE, size=len(content), remark=_NOT_RUN, judged=False)
        return
    yield from measure_methods(
        prepared.module,
        scripted,
        content,
        request.methods,
        prepared.samples[0],
        base=prepared.base.name,
        tolerance=request.tolerance,
        interpreter=interpreter,
    )
    signature = read_signature(scripted, "forward")
    yield measure_lite(
        LITE,
        content,
        [sample.adapt(signature) for sample in prepared.samples],
        prepared.base,
        tolerance=request.tolerance,
        interpreter=interpreter,
    )


def _check_shapes(
    request: ExportRequest,
    prepared: Prepared,
    eager: torch.nn.Module,
    scripted: torch.jit.ScriptModule,
    captured: str,
) -> tuple[str, ...]:
    if captured != Capture.TRACE and not request.second_inputs:
        return ()
    return find_frozen_shapes(
        eager,
        scripted,
        prepared.samples[0],
        seconds=request.second_inputs,
        tolerance=request.tolerance,
        seed=request.seed,
    )


def _save(module: torch.jit.ScriptModule, request: ExportRequest, prepared: Prepared) -> bytes:
    saving = request.saving
    if saving.bundle_inputs:
        bundle_inputs(module, prepared.samples[0])
    extra = {name: path.read_bytes() for name, path in saving.extra_files}
    content = format_lite(module, format=saving.format, extra_files=extra)
    return backport(content, saving.bytecode_version)


def _runs_here(request: ExportRequest) -> bool:
    return not request.optimisation.enabled or request.optimisation.backend is MobileBackend.CPU


def _judge(made: Made, prepared: Prepared, request: ExportRequest) -> VerificationError | None:
    # The first stage that fails shows where the difference begins.
    wrong = next((stage for stage in made.stages if not stage.ok), None)
    if wrong is None:
        return None
    # A second eager run tells a wrong file from a model that never gives the same outputs.
    sample, expected = prepared.samples[0], prepared.base.outputs[0]
    again = compare_outputs(
        run_eager(prepared.module, sample), expected, tolerance=request.tolerance
    )
    return find_failure(
        "the lite file" if wrong.name == LITE else wrong.name,
        wrong.differences,
        repeatable=all(difference.ok for difference in again),
    )


def _write(
    request: ExportRequest,
    prepared: Prepared,
    made: Made,
    failure: VerificationError | None,
    torch_version: str,
) -> ExportResult:
    sample, content = prepared.samples[0], made.content
    sha256 = hashlib.sha256(content).hexdigest()
    case = ReferenceCase(
        inputs=sample.leaves,
        outputs=prepared.base.outputs[0],
        torch_version=torch_version,
        model_sha256=sha256,
        structure=_describe(sample.specs),
    )
    wanted = failure is None or request.keep
    reference = (
        write_model(request.output, content, case if request.reference else None)
        if wanted
        else None
    )
    return ExportResult(
        path=request.output if wanted else None,
        size=len(content),
        sha256=sha256,
        bytecode_version=read_bytecode_version(content),
        reference=reference,
        inputs=sample.specs,
        differences=made.stages[-1].differences,
        stages=made.stages,
        remarks=made.remarks,
        capture=made.capture,
        optimized=request.optimisation.enabled,
        torch_version=torch_version,
        failure=failure,
    )


def _describe(specs: Sequence[InputSpec]) -> str:
    return "" if is_flat(specs) else str(Group(GroupKind.TUPLE, tuple(specs)))
