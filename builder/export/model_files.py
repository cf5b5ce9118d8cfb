"""Rewrites lite files and programs of torch.export; torch, where there is one, only compares."""

from __future__ import annotations

import hashlib
from pathlib import Path

from builder.core.nesting import list_arguments
from builder.core.stages import Stage
from builder.errors import ConfigurationError, Hint, ModelError, Use, VerificationError
from builder.export.compare_files import Compared, compare, prove_source
from builder.export.file_inputs import find_inputs
from builder.export.file_sources import FileSource, read_source
from builder.export.forms import FIND_PASS, LITE, NO_GPU, owe
from builder.export.interpreter import Interpreter
from builder.export.knowledge import Knowledge
from builder.export.output import write_model
from builder.export.prove import OpenRuntime, choose_differences, describe_stage
from builder.export.request import (
    Capture,
    ExportRequest,
    ExportResult,
    LiteFormat,
    MobileBackend,
    VulkanSplit,
)
from builder.export.rewrite_models import Rewritten, rewrite
from builder.export.vulkan_models import is_for_vulkan
from builder.lite.mobile_module_writer import FIRST_BYTECODE as FLATBUFFER_BYTECODE
from builder.lite.read import EXPORTED, name_kind
from builder.lite.read import LITE as LITE_FILE
from builder.lite.zip_writer import LAST_BYTECODE as ZIP_BYTECODE
from builder.system.progress import Progress

_AS_IS = "as is"
_FILE_SUFFIXES = {
    *(".pt", ".pt2", ".pth", ".ptl", ".py", ".torchscript"),
    *(".gguf", ".h5", ".keras", ".mlmodel", ".onnx", ".pb", ".pte", ".safetensors", ".tflite"),
}
"""Ends of names that mean a file even where there is none: no module is called so."""


def find_file(source: str, folder: Path) -> Path | None:
    """Returns the file that `source` names, even a missing one; None if it does not name a file."""
    path = folder / source
    # A name of a model has no slash; that of a function has a colon too.
    is_path = "/" in source and ":" not in source
    is_file = is_path or path.suffix in _FILE_SUFFIXES or (path.exists() and not path.is_dir())
    return path if is_file else None


def takes_file(request: ExportRequest) -> bool:
    """Returns whether the source is a file that builder rewrites itself, as the request asks."""
    path = request.folder / request.source
    backends = (MobileBackend.CPU, MobileBackend.VULKAN)
    if not path.is_file() or request.optimisation.backend not in backends:
        return False
    wants_torch = (
        request.quantisation
        or request.capture in (Capture.TRACE, Capture.SCRIPT)
        or request.saving.bundle_inputs
        or request.channels_last
    )
    kind = name_kind(path)
    # A damaged program is still no TorchScript.
    is_program = kind == EXPORTED or path.suffix == ".pt2"
    return is_program or (kind == LITE_FILE and not wants_torch)


def export_file(
    request: ExportRequest,
    *,
    knowledge: Knowledge,
    interpreter: Interpreter,
    open_runtime: OpenRuntime,
    progress: Progress,
) -> ExportResult:
    """Writes the lite file that `request` asks for.

    The outputs are compared with those of the reference case beside the source, or with those of
    the source on random inputs in torch's lite interpreter. Where neither is possible, a remark
    says so. If the request wants a proof, a runtime runs the file too.

    Args:
        request: `takes_file` is true of it.
        knowledge: of the release that is to run the file.
        interpreter: runs lite files, confined: nobody says that the source can be trusted.
        open_runtime: finds or builds the runtime on which `request` wants the file to be proven.
        progress: is informed of each step.

    Raises:
        ConfigurationError: the inputs do not fit, or the request has settings without an effect.
        ModelError: the source cannot be read, converted or written.
        InterpreterEndedError: the source crashed torch, or reached a limit.
        VerificationError: the runtime of the proof cannot run the file.
    """
    path = request.folder / request.source
    _refuse_idle(request, path)
    progress.step(f"Reading {request.source}")
    try:
        source = read_source(path, request, knowledge)
        given = find_inputs(path, request, source.signature(), source.inputs)
        if request.wants_proof and not given.samples:
            raise ConfigurationError(
                f"{path}: nothing can be proven, because it is not known on which inputs to run it",
                hint=Hint("describe each input: ", Use("inputs", "float32[1,3,224,224]")),
            )
        progress.step("Rewriting the model for mobile")
        if knowledge.vulkan is not None and is_for_vulkan(source.program):
            return _keep(request, source)
        specs = {call.method: list_arguments(call) for call in given.methods}
        if given.samples:
            specs["forward"] = given.samples[0].adapt(source.signature()).specs
        rewritten = rewrite(
            source.program,
            request.optimisation,
            request.saving,
            knowledge.schemas,
            vulkan=knowledge.vulkan,
            specs=specs,
        )
    except ModelError as error:
        text = error.message.removeprefix(f"{path}: ")
        raise ModelError(f"{path}: {text}", hint=error.hint) from error
    content, remarks = _choose_content(path, request, source, rewritten)
    compared = compare(given, request, source, rewritten, content, interpreter, progress)
    # A file that is wrong already needs no runtime to show it.
    if request.wants_proof and all(stage.ok for stage in compared.stages):
        compared = prove_source(
            given, request, source, content, compared, interpreter, open_runtime
        )
    return _write(request, source, content, compared, (*source.remarks, *remarks), rewritten.split)


def _keep(request: ExportRequest, source: FileSource) -> ExportResult:
    """Writes a model for Vulkan as it is."""
    remark = f"{request.source} is for Vulkan already, and is written unchanged"
    stage = Stage(name=LITE, size=len(source.content), judged=False, remark=NO_GPU)
    compared = Compared(stages=(owe(stage, compared=False),), case=None, remarks=())
    return _write(request, source, source.content, compared, (remark,))


def _refuse_idle(request: ExportRequest, path: Path) -> None:
    idle = {
        "arguments": request.arguments,
        "weights": request.weights,
        "methods": request.methods,
        "calibrate": request.calibrate,
        "quantisation": request.quantisation,
        "capture": request.capture is not Capture.AUTO,
        "bundle_inputs": request.saving.bundle_inputs,
        "channels_last": request.channels_last,
        "second_inputs": request.second_inputs,
    }
    if names := [name for name, value in idle.items() if value]:
        raise ConfigurationError(
            f"{path} is a program already, for which these settings have no effect: "
            f"{', '.join(names)}",
            hint="use them where the program is made from Python code",
        )


def _choose_content(
    path: Path, request: ExportRequest, source: FileSource, rewritten: Rewritten
) -> tuple[bytes, tuple[str, ...]]:
    # A zip archive starts with these letters, and a flatbuffer has its size there.
    same_format = source.content.startswith(b"PK") == (request.saving.format is LiteFormat.ZIP)
    asked = request.saving.extra_files or request.saving.bytecode_version is not None
    # What builder writes of an unchanged model may differ in bytes from the file it read, so both
    # sides are builder's own.
    if rewritten.packed != source.before or asked or not same_format:
        return rewritten.content, rewritten.remarks
    # The user asked for nothing but a copy in this form, and gets it without a remark.
    if not request.optimisation.enabled:
        return rewritten.content, ()
    if not source.is_lite:
        return source.content, (f"no pass found anything to rewrite in {path.name}",)
    return source.content, (f"{path.name} has nothing to gain, and is written unchanged",)


def _write(
    request: ExportRequest,
    source: FileSource,
    content: bytes,
    compared: Compared,
    remarks: tuple[str, ...],
    split: VulkanSplit | None = None,
) -> ExportResult:
    wrong = next((stage for stage in compared.stages if not stage.ok), None)
    failure = None
    if wrong is not None:
        failure = VerificationError(
            f"{describe_stage(wrong.name)} differs from the source",
            hint=FIND_PASS,
        )
    wanted = failure is None or request.keep
    case = compared.case if request.reference else None
    reference = write_model(request.output, content, case) if wanted else None
    zipped = content.startswith(b"PK")
    version = (request.saving.bytecode_version or ZIP_BYTECODE) if zipped else FLATBUFFER_BYTECODE
    return ExportResult(
        path=request.output if wanted else None,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        bytecode_version=version,
        reference=reference,
        inputs=list_arguments(compared.case) if compared.case else (),
        differences=choose_differences(compared.stages),
        stages=compared.stages,
        remarks=(*remarks, *compared.remarks),
        capture=_AS_IS,
        optimized=request.optimisation.enabled,
        torch_version=compared.case.torch_version if compared.case else source.torch_version,
        vulkan=split,
        failure=failure,
    )
