"""The steps of an export: load, prepare, capture, optimise, save, compare, write."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace

from torch import no_grad

from builder.core.differences import judge_by_shape
from builder.core.nesting import format_structure
from builder.core.stages import Stage
from builder.core.tensors import Call, ReferenceCase, Tensor
from builder.errors import ModelError, VerificationError
from builder.export.capabilities import TorchCapabilities
from builder.export.captured import Captured, capture
from builder.export.chance import WHY, Chance, find_chance
from builder.export.compare import find_failure, one_thread
from builder.export.forms import LITE, NO_GPU, OPTIMISED, measure_lite, owe
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.knowledge import Knowledge
from builder.export.lints import lint_operators, list_callees, refuse_other_devices
from builder.export.load import load_requested
from builder.export.methods import measure_methods, run_methods
from builder.export.model_files import find_file
from builder.export.optimise_torchscript import optimise_module
from builder.export.output import write_model
from builder.export.prepare_model import MethodRun, Prepared, prepare
from builder.export.prove import OpenRuntime, choose_differences, describe_stage, prove
from builder.export.quantise import qnnpack
from builder.export.request import (
    ExportRequest,
    ExportResult,
    LiteFormat,
    MobileBackend,
    VulkanSplit,
)
from builder.export.rewrite_models import Rewritten, rewrite
from builder.export.samples import Sample
from builder.export.save import backport, format_lite
from builder.export.unreadable import check_readable
from builder.lite.read import parse_lite
from builder.system.progress import Progress

_NOT_RUN = "not run: torch's lite interpreter on this machine runs only files for the CPU"
_NO_XNNPACK = "not run: this torch has no XNNPACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A lite file in memory, before it is written."""

    content: bytes
    plain: bytes
    """A form of it that any torch can run; `content` itself if there is no other."""
    bytecode_version: int
    capture: str
    stages: tuple[Stage, ...]
    """The last stage is the one of `content`."""
    remarks: tuple[str, ...]
    split: VulkanSplit | None = None
    """Of a model for Vulkan."""


def export_model(
    request: ExportRequest,
    *,
    torch: TorchCapabilities,
    knowledge: Knowledge,
    interpreter: Interpreter,
    open_runtime: OpenRuntime,
    progress: Progress,
) -> ExportResult:
    """Writes the lite file and the reference case that `request` asks for.

    The file is written only after torch's own lite interpreter has run it and its outputs agree
    with the eager model, or if the request says to keep it anyway. `failure` of the result says
    what differs. A torch without XNNPACK runs the file as it was before layers were packed for
    XNNPACK.

    Args:
        request: what to export, and how.
        torch: what the installed torch can do.
        knowledge: the release that is to run the file; the result has a remark on each operator
            that no runtime of it can have.
        interpreter: runs lite files, and loads TorchScript files before this process does.
        open_runtime: finds or builds the runtime on which `request` wants the file to be proven.
        progress: is informed of each step.

    Raises:
        ConfigurationError: the inputs are unknown, or the output cannot be written.
        ModelError: the model cannot be loaded, run, quantised, captured, optimised or saved.
        ToolchainError: torchvision is missing, or torch lacks a feature that the export needs.
        VerificationError: torch's lite interpreter, or the runtime of the proof, cannot run the
            file.
    """
    interpreter.start()  # the child process imports torch while this one loads the model
    with (
        warnings.catch_warnings(),
        no_grad(),
        one_thread(),
        qnnpack(required=bool(request.quantisation)),
    ):
        warnings.simplefilter("ignore")  # script_module shows the warnings that matter
        progress.step(f"Loading {request.source} with torch {torch.version}")
        _try_loading(request, interpreter)
        loaded = load_requested(request)
        refuse_other_devices(loaded.module)
        prepared = prepare(request, loaded, progress=progress)
        # Capturing may change the module, so the other methods run before it as well.
        prepared = replace(prepared, methods=run_methods(request, prepared))
        captured = capture(request, prepared, knowledge, interpreter, progress)
        if request.optimisation.backend in (MobileBackend.CPU, MobileBackend.VULKAN):
            made = _make(
                request, prepared, captured, knowledge, torch.xnnpack, interpreter, progress
            )
        else:
            made = _make_for_device(request, prepared, captured)
        # A file that is wrong already needs no runtime to show it.
        if request.wants_proof and all(stage.ok for stage in made.stages):
            made = _prove(request, prepared, captured, made, open_runtime)
        # The model runs again to find out whether it draws random numbers, which is not worth it
        # for equal outputs.
        if any(not stage.ok for stage in made.stages):
            given = captured.samples[0].adapt(captured.signature)
            chance = find_chance(
                prepared.module,
                prepared.samples[0],
                lambda seed: _draw(made.plain, given, seed, interpreter),
            )
            made = _allow(made, chance)
            failure = _find_failure(made, chance)
        else:
            failure = None
        return _write(request, prepared, captured, made, failure, torch.version)


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
    captured: Captured,
    knowledge: Knowledge,
    xnnpack: bool,
    interpreter: Interpreter,
    progress: Progress,
) -> Made:
    """Rewrites the model as a graph, and compares each form of it."""
    rewritten = _rewrite(request, captured, knowledge, progress)
    progress.step("Comparing the lite file with eager PyTorch")
    stages = [*prepared.stages, captured.stage]
    content = rewritten.content
    model = parse_lite(content)
    check_readable(model, optimised=request.optimisation.enabled)
    if rewritten.is_packed:
        stages.append(
            _measure(OPTIMISED, rewritten.plain, captured, request, prepared, interpreter)
        )
    for_gpu = rewritten.split is not None
    # What this torch can run.
    runnable = content if xnnpack and not for_gpu else rewritten.plain
    if captured.scripted is not None:
        stages += measure_methods(
            captured.scripted,
            runnable,
            captured.methods,
            base=prepared.base.name,
            tolerance=request.tolerance,
            interpreter=interpreter,
        )
    if rewritten.is_packed and (for_gpu or not xnnpack):
        remark = NO_GPU if for_gpu else _NO_XNNPACK
        unseen = Stage(name=LITE, size=len(content), remark=remark, judged=False)
        stages.append(unseen if request.wants_proof else owe(unseen, compared=True))
    else:
        stages.append(_measure(LITE, content, captured, request, prepared, interpreter))
    return Made(
        content=content,
        plain=rewritten.plain,
        bytecode_version=model.bytecode_version,
        capture=captured.how,
        split=rewritten.split,
        stages=tuple(stages),
        remarks=(
            *prepared.remarks,
            *captured.remarks,
            *rewritten.remarks,
            *lint_operators(
                list_callees(model), knowledge, captured.scripted, request.method_names
            ),
        ),
    )


def _rewrite(
    request: ExportRequest, captured: Captured, knowledge: Knowledge, progress: Progress
) -> Rewritten:
    # A program of torch.export has no form in TorchScript, so that only builder can write it.
    if captured.program is not None and (request.optimisation.enabled or captured.scripted is None):
        progress.step("Rewriting the model for mobile")
        return rewrite(
            captured.program,
            request.optimisation,
            request.saving,
            knowledge.schemas,
            # Bundled inputs are methods too.
            methods=None
            if request.saving.bundle_inputs
            else frozenset({"forward", *request.method_names}),
            vulkan=knowledge.vulkan,
            specs={
                **{run.name: run.sample.specs for run in captured.methods},
                "forward": captured.samples[0].adapt(captured.signature).specs,
            },
        )
    content = captured.content
    if request.saving.format is not LiteFormat.ZIP:
        assert captured.scripted is not None
        content = format_lite(
            captured.scripted,
            format=request.saving.format,
            extra_files=request.saving.read_extra_files(),
        )
    content = backport(content, request.saving.bytecode_version)
    return Rewritten(plain=content, packed=content, content=content, remarks=())


def _make_for_device(request: ExportRequest, prepared: Prepared, captured: Captured) -> Made:
    """Lets torch rewrite the model for another device, on which only that device can run it."""
    if captured.scripted is None:
        raise ModelError(
            f"models for {request.optimisation.backend} are made from TorchScript",
            hint="capture the model by a trace or a script",
        )
    final = optimise_module(
        captured.scripted, request.optimisation, captured.samples[0], request.method_names
    )
    content = format_lite(
        final, format=request.saving.format, extra_files=request.saving.read_extra_files()
    )
    content = backport(content, request.saving.bytecode_version)
    unseen = Stage(name=LITE, size=len(content), remark=_NOT_RUN, judged=False)
    return Made(
        content=content,
        plain=content,
        bytecode_version=parse_lite(content).bytecode_version,
        capture=captured.how,
        stages=(*prepared.stages, captured.stage, unseen),
        remarks=(*prepared.remarks, *captured.remarks),
    )


def _measure(
    name: str,
    content: bytes,
    captured: Captured,
    request: ExportRequest,
    prepared: Prepared,
    interpreter: Interpreter,
) -> Stage:
    return measure_lite(
        name,
        content,
        [sample.adapt(captured.signature) for sample in captured.samples],
        prepared.base,
        tolerance=request.tolerance,
        interpreter=interpreter,
    )


def _prove(
    request: ExportRequest,
    prepared: Prepared,
    captured: Captured,
    made: Made,
    open_runtime: OpenRuntime,
) -> Made:
    """Returns the forms, with those of the file on a runtime."""
    calls = [_to_call(run) for run in captured.methods if not run.problem]
    with open_runtime([made.content], captured.samples) as runtime:
        proven = prove(
            made.content,
            captured.samples,
            prepared.base,
            calls,
            tolerance=request.tolerance,
            runtime=runtime,
        )
    return replace(made, stages=(*made.stages, *proven))


def _draw(
    content: bytes, sample: Sample, seed: int, interpreter: Interpreter
) -> tuple[Tensor, ...]:
    return interpreter.run(content, [sample], seed=seed).outputs[0]


def _allow(made: Made, chance: Chance) -> Made:
    """Returns the forms judged by the shapes of their outputs, if the model draws its values."""
    if chance is not Chance.BOTH_DRAW:
        return made
    stages = (
        replace(stage, differences=judge_by_shape(stage.differences)) for stage in made.stages
    )
    return replace(made, stages=tuple(stages))


def _find_failure(made: Made, chance: Chance) -> VerificationError | None:
    # The first stage that fails shows where the difference begins.
    wrong = next((stage for stage in made.stages if not stage.ok), None)
    if wrong is None:
        return None
    return find_failure(describe_stage(wrong.name), wrong.differences, why=WHY.get(chance, ""))


def _write(
    request: ExportRequest,
    prepared: Prepared,
    captured: Captured,
    made: Made,
    failure: VerificationError | None,
    torch_version: str,
) -> ExportResult:
    sample, content = captured.samples[0], made.content
    sha256 = hashlib.sha256(content).hexdigest()
    case = ReferenceCase(
        inputs=sample.leaves,
        outputs=prepared.base.outputs[0],
        torch_version=torch_version,
        model_sha256=sha256,
        structure=format_structure(sample.specs),
        methods=tuple(_to_call(run) for run in captured.methods if not run.problem),
    )
    # A file with wrong outputs is left out, so that no script ships it by accident.
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
        bytecode_version=made.bytecode_version,
        reference=reference,
        inputs=sample.specs,
        differences=choose_differences(made.stages),
        stages=made.stages,
        remarks=made.remarks,
        capture=made.capture,
        optimized=request.optimisation.enabled,
        torch_version=torch_version,
        vulkan=made.split,
        failure=failure,
    )


def _to_call(run: MethodRun) -> Call:
    return Call(
        method=run.name,
        inputs=run.sample.leaves,
        outputs=run.outputs,
        structure=format_structure(run.sample.specs),
    )
