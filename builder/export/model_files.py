"""Rewrites lite files and programs of torch.export; torch, where there is one, only compares."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from builder.core.nesting import InputSpec, format_structure, list_arguments
from builder.core.signatures import Signature
from builder.core.stages import Stage
from builder.core.tensors import ReferenceCase
from builder.errors import BuilderError, ConfigurationError, ModelError, VerificationError
from builder.export.file_inputs import OWED, FileInputs, find_inputs
from builder.export.forms import LITE, OPTIMISED, Form, measure_if_runnable
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.knowledge import Knowledge
from builder.export.output import write_model
from builder.export.request import Capture, ExportRequest, ExportResult, LiteFormat, MobileBackend
from builder.export.rewrite_models import Rewritten, describe_method, format_program, rewrite
from builder.export.saved_calls import measure_calls
from builder.graph.lift import lift_program
from builder.graph.program import Program
from builder.lite.mobile_module_writer import FIRST_BYTECODE as FLATBUFFER_BYTECODE
from builder.lite.read import EXPORTED, name_kind, open_model, read_lite_stream
from builder.lite.read import LITE as LITE_FILE
from builder.lite.zip_writer import LAST_BYTECODE as ZIP_BYTECODE
from builder.pt2.read import read_program
from builder.system.progress import Progress

_AS_IS = "as is"
_SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file as a program."""

    program: Program
    content: bytes
    """As a lite file: what was read, if it is one."""
    before: bytes
    """What builder writes of it before any pass, to tell whether the passes changed anything."""
    is_lite: bool
    inputs: tuple[InputSpec, ...]
    """What the file says of its inputs; empty if it says nothing."""
    remarks: tuple[str, ...]
    torch_version: str

    def signature(self, method: str = "forward") -> Signature:
        """Of `method`; ModelError when there is none."""
        graph = self.program.method(method)
        if graph is None:
            raise ModelError(f"it has no method {method}", hint="export a model that has one")
        return describe_method(graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """What is known of the outputs."""

    stages: tuple[Stage, ...]
    case: ReferenceCase | None
    remarks: tuple[str, ...]


def takes_file(request: ExportRequest) -> bool:
    """Returns whether the source is a file that builder rewrites itself, as the request asks."""
    path = request.folder / request.source
    if not path.is_file() or request.optimisation.backend is not MobileBackend.CPU:
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
    request: ExportRequest, *, knowledge: Knowledge, interpreter: Interpreter, progress: Progress
) -> ExportResult:
    """Writes the lite file that `request` asks for.

    The outputs are compared with those of the reference case beside the source, or with those of
    the source on random inputs in torch's lite interpreter. Where neither is possible, a remark
    says so.

    Args:
        request: `takes_file` is true of it.
        knowledge: of the release that is to run the file.
        interpreter: runs lite files, confined: nobody says that the source can be trusted.
        progress: is informed of each step.

    Raises:
        ConfigurationError: the inputs do not fit, or the request has settings without an effect.
        ModelError: the source cannot be read, converted or written.
        InterpreterEndedError: the source crashed torch, or reached a limit.
    """
    path = request.folder / request.source
    _refuse_idle(request, path)
    progress.step(f"Reading {request.source}")
    try:
        source = _read(path, request, knowledge)
        given = find_inputs(path, request, source.signature(), source.inputs)
        progress.step("Rewriting the model for mobile")
        rewritten = rewrite(source.program, request.optimisation, request.saving, knowledge.schemas)
    except ModelError as error:
        text = error.message.removeprefix(f"{path}: ")
        raise ModelError(f"{path}: {text}", hint=error.hint) from error
    content, remarks = _choose_content(path, request, source, rewritten)
    compared = _compare(given, request, source, rewritten, content, interpreter, progress)
    return _write(request, source, content, compared, (*source.remarks, *remarks))


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


def _read(path: Path, request: ExportRequest, knowledge: Knowledge) -> _Source:
    schemas = knowledge.schemas
    extra = request.saving.read_extra_files()
    if name_kind(path) == LITE_FILE:
        # Opened once: the file may be replaced meanwhile.
        with open_model(path) as stream:
            program = lift_program(read_lite_stream(stream, path), schemas)
            stream.seek(0)
            content = stream.read()
        program.extra_files = {**program.extra_files, **extra}
        return _Source(
            program=program,
            content=content,
            before=format_program(replace(program, records={}), LiteFormat.ZIP, schemas),
            is_lite=True,
            inputs=(),
            remarks=(),
            torch_version="",
        )
    exported = read_program(path, schemas, knowledge.raising)
    exported.program.extra_files = extra
    # A size that was not recorded may be anything, and 1 is always small.
    sizes = {symbol.name: symbol.value or 1 for symbol in exported.symbols}
    try:
        inputs = tuple(one.spec(sizes) for one in exported.inputs)
    except ConfigurationError:
        inputs = ()  # of a kind that the setting `inputs` cannot describe
    content = format_program(exported.program, LiteFormat.ZIP, schemas)
    return _Source(
        program=exported.program,
        content=content,
        before=content,
        is_lite=False,
        inputs=inputs,
        remarks=exported.notes,
        torch_version=exported.torch_version,
    )


def _choose_content(
    path: Path, request: ExportRequest, source: _Source, rewritten: Rewritten
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


def _compare(
    given: FileInputs,
    request: ExportRequest,
    source: _Source,
    rewritten: Rewritten,
    content: bytes,
    interpreter: Interpreter,
    progress: Progress,
) -> _Compared:
    samples, expected = given.samples, given.expected
    end = Stage(name=LITE, size=len(content), judged=False)
    if not samples:
        return _Compared(stages=(end,), case=None, remarks=(given.remark,))
    progress.step("Comparing the lite file with the source")
    adapted = [sample.adapt(source.signature()) for sample in samples]
    try:
        run = interpreter.run(source.content, adapted, timed=True)
    # A crash of torch is told as it is. It may be an attack, so it is no reason to go on without a
    # comparison.
    except InterpreterEndedError:
        raise
    except BuilderError as error:
        run = None
        remarks: tuple[str, ...] = (OWED.format(error.message),)
    else:
        remarks = ()
    # A reference case was made by eager PyTorch, so it counts more than a run of the source.
    outputs = (expected,) if expected else run.outputs if run else ()
    if not outputs:
        return _Compared(stages=(end,), case=None, remarks=remarks)
    stage = Stage(name=_SOURCE, size=len(source.content), seconds=run.seconds if run else None)
    base = Form(name=_SOURCE, outputs=outputs, stage=stage)
    stages = [stage]
    measure = functools.partial(
        measure_if_runnable, tolerance=request.tolerance, interpreter=interpreter
    )
    # Any torch can run the plain form. It tells a wrong pass from wrong packing.
    if rewritten.is_packed:
        stages.append(measure(OPTIMISED, rewritten.plain, adapted, base))
    stages += measure_calls(
        [(call, source.signature(call.method)) for call in given.methods],
        content,
        base=_SOURCE,
        tolerance=request.tolerance,
        interpreter=interpreter,
    )
    stages.append(measure(LITE, content, adapted, base))
    made_by = given.torch_version or source.torch_version or (run.torch_version if run else "")
    return _Compared(
        stages=tuple(stages),
        case=ReferenceCase(
            inputs=samples[0].leaves,
            outputs=outputs[0],
            torch_version=made_by,
            model_sha256=hashlib.sha256(content).hexdigest(),
            structure=format_structure(samples[0].specs),
            methods=given.methods,
        ),
        remarks=remarks,
    )


def _write(
    request: ExportRequest,
    source: _Source,
    content: bytes,
    compared: _Compared,
    remarks: tuple[str, ...],
) -> ExportResult:
    wrong = next((stage for stage in compared.stages if not stage.ok), None)
    failure = None
    if wrong is not None:
        failure = VerificationError(
            f"{wrong.name} differs from the source",
            hint="leave out passes one by one to find the one that changes the outputs, and report "
            "it",
        )
    wanted = failure is None or request.keep
    case = compared.case if request.reference else None
    reference = write_model(request.output, content, case) if wanted else None
    zipped = content.startswith(b"PK")
    version = (request.saving.bytecode_version or ZIP_BYTECODE) if zipped else FLATBUFFER_BYTECODE
    last = compared.stages[-1]
    return ExportResult(
        path=request.output if wanted else None,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        bytecode_version=version,
        reference=reference,
        inputs=list_arguments(compared.case) if compared.case else (),
        differences=last.differences,
        stages=compared.stages,
        remarks=(*remarks, *compared.remarks),
        capture=_AS_IS,
        optimized=request.optimisation.enabled,
        torch_version=compared.case.torch_version if compared.case else source.torch_version,
        failure=failure,
    )
