"""The export, step by step: load, capture, optimise, save, compare, write."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.core.artifacts import OutputDifference
from builder.core.differences import compare_outputs
from builder.core.inputs import sample_inputs
from builder.core.tensors import ReferenceCase, Tensor
from builder.export.capabilities import check_capabilities, probe_torch
from builder.export.compare import check_differences, check_numbers, run_eager, run_lite
from builder.export.optimise import optimise_module
from builder.export.requests import ExportRequest, ExportResult
from builder.export.save import check_writable, format_lite, write_model
from builder.export.script import script_module
from builder.export.sources import choose_inputs, load_module
from builder.export.values import to_torch
from builder.system.progress import Progress

if TYPE_CHECKING:
    import torch


def export_model(request: ExportRequest, *, progress: Progress) -> ExportResult:
    """Writes the lite file and the reference case that `request` asks for.

    The file is written only after torch's own lite interpreter has run it and agreed with
    the eager model.

    Raises:
        ConfigurationError: unknown inputs, or an output that cannot be written.
        ModelError: the model cannot be loaded, run, captured, optimised or saved.
        ToolchainError: torch or torchvision is missing, or lacks what is asked for.
        VerificationError: the lite file differs from the eager model.
    """
    check_writable(request.output)
    torch_found = probe_torch()
    check_capabilities(torch_found, optimize=request.optimize)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those that matter are noted by script_module
        progress.step(f"Loading {request.source} with torch {torch_found.version}")
        loaded = load_module(request.source, folder=request.folder, seed=request.seed)
        specs = choose_inputs(request.source, loaded, request.inputs)
        inputs = sample_inputs(specs, seed=request.seed)
        eager = _twin(loaded.module)
        expected = run_eager(eager, inputs)
        if request.reference:
            check_numbers(expected)
        content, captured = _make_lite(loaded.module, inputs, request, progress)
        progress.step("Comparing the lite file with eager PyTorch")
        differences = _compare(content, inputs, expected, eager, request.tolerance)
    sha256 = hashlib.sha256(content).hexdigest()
    case = ReferenceCase(
        inputs=inputs, outputs=expected, torch_version=torch_found.version, model_sha256=sha256
    )
    reference = write_model(request.output, content, case if request.reference else None)
    return ExportResult(
        path=request.output,
        size=len(content),
        sha256=sha256,
        reference=reference,
        inputs=specs,
        differences=differences,
        capture=captured,
        optimized=request.optimize,
        torch_version=torch_found.version,
    )


def _make_lite(
    module: torch.nn.Module,
    inputs: Sequence[Tensor],
    request: ExportRequest,
    progress: Progress,
) -> tuple[bytes, str]:
    import torch

    progress.step("Making TorchScript" + (", optimised for mobile" if request.optimize else ""))
    with torch.no_grad():
        tensors = tuple(map(to_torch, inputs))
        scripted, captured = script_module(module, tensors, request.capture, progress=progress)
        if request.optimize:
            scripted = optimise_module(scripted)
        return format_lite(scripted), captured


def _compare(
    content: bytes,
    inputs: Sequence[Tensor],
    expected: Sequence[Tensor],
    eager: torch.nn.Module,
    tolerance: float | None,
) -> tuple[OutputDifference, ...]:
    differences = compare_outputs(run_lite(content, inputs), expected, tolerance=tolerance)
    if not all(difference.ok for difference in differences):
        again = compare_outputs(run_eager(eager, inputs), expected, tolerance=tolerance)
        check_differences(differences, repeatable=all(difference.ok for difference in again))
    return differences


def _twin(module: torch.nn.Module) -> torch.nn.Module:
    """Returns a copy to run, so that a model that keeps state is saved as it was loaded."""
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001 - the user's attributes may refuse in any way
        return module
