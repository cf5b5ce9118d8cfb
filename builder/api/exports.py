"""Exporting models."""

from __future__ import annotations

import atexit
import functools
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.proofs import check_provable, make_opener
from builder.core.known import parse_known
from builder.errors import ConfigurationError, Hint, ModelError, Use, VerificationError
from builder.export.capabilities import check_capabilities, probe_torch
from builder.export.interpreter import Interpreter
from builder.export.knowledge import Knowledge
from builder.export.model_files import export_file, find_file, takes_file
from builder.export.output import check_saving, check_writable
from builder.export.request import MobileBackend
from builder.lite.read import refuse_foreign, refusing_excess
from builder.models.read import read_model
from builder.selection.release_rules import read_rules
from builder.sources.releases import load_release
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from builder.system.outputs import refuse_foreign_file, refuse_unwritable
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.vulkan import VulkanKernels
    from builder.export.prove import OpenRuntime
    from builder.export.request import ExportRequest, ExportResult
    from builder.system.progress import Progress


def export(request: ExportRequest, *, progress: Progress) -> ExportResult:
    """Exports a model, compares the lite file with the model, and writes it; imports torch.

    Raises:
        ConfigurationError: unknown inputs, or an output that cannot be written.
        ModelError: the model cannot be loaded, run, quantised, captured, optimised or saved.
        ToolchainError: torch or torchvision is missing, or cannot do what `request` needs.
        VerificationError: torch's lite interpreter, or the runtime of a proof, cannot run the
            file. A difference does not raise an error: the result contains it, and the file is
            written only if `keep` is set.
        SourceError: the sources of the runtime for a proof cannot be fetched.
        NativeBuildError: the runtime for a proof cannot be built.
    """
    release = request.pytorch or load_release()
    check_writable(request.output)
    check_saving(request.saving, release.facts.bytecode)
    check_provable(request)
    open_runtime = make_opener(request, release, progress)
    path = request.folder / request.source
    # A factory's errors are the user's own; a file may come from anywhere.
    with refusing_excess(path) if path.is_file() else nullcontext():
        if not takes_file(request):
            # Before torch is imported, which such a file does not need.
            if named := find_file(request.source, request.folder):
                refuse_foreign(named)
            return _export_by_torch(request, release, open_runtime, progress)
        return export_file(
            request,
            knowledge=replace(load_knowledge(release), vulkan=_load_vulkan(request, release)),
            interpreter=Interpreter(request.limits, confined=True),
            open_runtime=open_runtime,
            progress=progress,
        )


def _export_by_torch(
    request: ExportRequest, release: Release, open_runtime: OpenRuntime, progress: Progress
) -> ExportResult:
    # Every import of torch comes after this one, which explains why it fails.
    torch = probe_torch()
    check_capabilities(torch, request.optimisation)
    from builder.export.exporter import export_model

    interpreter = _keep_interpreter()
    interpreter.set_limits(request.limits)
    return export_model(
        request,
        torch=torch,
        knowledge=replace(load_knowledge(release), vulkan=_load_vulkan(request, release)),
        interpreter=interpreter,
        open_runtime=open_runtime,
        progress=progress,
    )


@functools.cache
def _keep_interpreter() -> Interpreter:
    """Returns the one for all exports of this process, so that its child imports torch once."""
    interpreter = Interpreter(confined=False)
    # The child has a session of its own, so nothing else would end it.
    atexit.register(interpreter.close)
    return interpreter


def _load_vulkan(request: ExportRequest, release: Release) -> VulkanKernels | None:
    """Returns what Vulkan computes; None for a model that is for another backend."""
    wanted = request.optimisation
    for_vulkan = wanted.enabled and wanted.backend is MobileBackend.VULKAN
    return load_vulkan(release.version) if for_vulkan else None


def load_knowledge(release: Release) -> Knowledge:
    """Returns what an export has to know about `release`."""
    return Knowledge(
        known=parse_known(release.operators.read_text().splitlines()),
        schemas=load_schemas(release.version),
        raising=read_rules(release).raising,
    )


def refuse_model(path: Path, source: str) -> None:
    """Raises ConfigurationError when the lite file of `source` cannot be written to `path`.

    What is there already must be a lite file, and not the model that is read; what lies beside it
    under the name of a reference case must be one.
    """
    # samefile: the two paths may be links to one file.
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise ConfigurationError(
            f"{path} is the model to export, and would be overwritten",
            hint=Hint("choose another file with ", Use("output")),
        )
    refuse_unwritable(path)
    refuse_foreign_file(path, _is_lite, "lite file")
    refuse_foreign_file(reference_path(path), _is_reference, "reference case")


def _is_lite(path: Path) -> bool:
    try:
        read_model(path)
    except ModelError:
        return False
    return True


def _is_reference(path: Path) -> bool:
    try:
        read_reference(path)
    except VerificationError:
        return False
    return True
