"""Compares the lite file made of a file with that file, in torch and on a runtime."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from builder.core.nesting import format_structure
from builder.core.stages import Stage
from builder.core.tensors import ReferenceCase
from builder.errors import BuilderError
from builder.export.file_inputs import FileInputs, describe_owed
from builder.export.file_sources import FileSource
from builder.export.forms import LITE, NO_GPU, OPTIMISED, Form, Outputs, measure_if_runnable, owe
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.prove import SOURCE, OpenRuntime, add_mirrored, prove_file
from builder.export.request import ExportRequest
from builder.export.rewrite_models import Rewritten
from builder.export.samples import Sample
from builder.export.saved_calls import measure_calls
from builder.system.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What is known of the outputs."""

    stages: tuple[Stage, ...]
    case: ReferenceCase | None
    remarks: tuple[str, ...]
    outputs: Outputs = ()
    """Of the source, for the samples; empty if no torch and no reference case tells them."""
    in_torch: bool = False
    """Whether torch can run the source."""


def compare(
    given: FileInputs,
    request: ExportRequest,
    source: FileSource,
    rewritten: Rewritten,
    content: bytes,
    interpreter: Interpreter,
    progress: Progress,
) -> Compared:
    """Returns how the forms of a file compare in torch's lite interpreter, as far as it runs them.

    Raises:
        InterpreterEndedError: the source crashed torch, or reached a limit.
        VerificationError: torch runs the source, and fails with a file that was made of it.
    """
    samples, expected = given.samples, given.expected
    end = Stage(name=LITE, size=len(content), judged=False)
    if not samples:
        return Compared(stages=(end,), case=None, remarks=(given.remark,))
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
        remarks: tuple[str, ...] = (_describe_absence(error.message, request, given),)
    else:
        remarks = ()
    # A reference case was made by eager PyTorch, so it counts more than a run of the source.
    outputs = (expected,) if expected else run.outputs if run else ()
    if not outputs:
        return Compared(stages=(end,), case=None, remarks=remarks)
    stage = Stage(
        name=SOURCE,
        size=len(source.content),
        seconds=run.seconds if run else None,
        by=run.by if run else None,
    )
    base = Form(name=SOURCE, outputs=outputs, stage=stage)
    stages = [stage]
    measure = functools.partial(
        measure_if_runnable,
        tolerance=request.tolerance,
        interpreter=interpreter,
        source=source.content,
    )
    # Any torch can run the plain form. It tells a wrong pass from wrong packing.
    if rewritten.is_packed:
        stages.append(measure(OPTIMISED, rewritten.plain, adapted, base))
    stages += measure_calls(
        [(call, source.signature(call.method)) for call in given.methods],
        rewritten.plain if rewritten.split else content,
        base=SOURCE,
        tolerance=request.tolerance,
        interpreter=interpreter,
        source=source.content,
    )
    if rewritten.split:
        last = Stage(name=LITE, size=len(content), judged=False, remark=NO_GPU)
    else:
        last = measure(LITE, content, adapted, base)
    unseen = last.by is None and not request.wants_proof
    stages.append(owe(last, compared=bool(stages[-1].against)) if unseen else last)
    made_by = given.torch_version or source.torch_version or (run.torch_version if run else "")
    return Compared(
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
        outputs=outputs,
        in_torch=run is not None,
    )


def prove_source(
    given: FileInputs,
    request: ExportRequest,
    source: FileSource,
    content: bytes,
    compared: Compared,
    interpreter: Interpreter,
    open_runtime: OpenRuntime,
) -> Compared:
    """Returns what is known of the outputs after a runtime has run the file too."""
    samples: Sequence[Sample] = [one.adapt(source.signature()) for one in given.samples]
    outputs, plain = compared.outputs, source.content
    if compared.in_torch:
        # Torch tells what the source returns, so that the runtime needs only one file's operators.
        samples, outputs = add_mirrored(samples, outputs, plain, interpreter)
        plain = b""
    proven = prove_file(
        content,
        plain,
        samples,
        outputs,
        given.methods,
        tolerance=request.tolerance,
        open_runtime=open_runtime,
    )
    return replace(compared, stages=(*compared.stages, *proven))


def _describe_absence(reason: str, request: ExportRequest, given: FileInputs) -> str:
    if not request.wants_proof:
        return describe_owed(reason)
    if given.expected:
        return f"torch ran nothing ({reason}); the expected outputs are those of the reference case"
    return f"torch ran nothing ({reason}); the expected outputs are the source's on the runtime"
