"""Exporting models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.export.requests import ExportRequest, ExportResult
    from builder.system.progress import Progress


def export_model(request: ExportRequest, *, progress: Progress) -> ExportResult:
    """Writes the lite file that `request` asks for, once it has proven right; imports torch.

    Raises:
        ConfigurationError: unknown inputs, or an output that cannot be written.
        ModelError: the model cannot be loaded, run, quantised, captured, optimised or saved.
        ToolchainError: torch or torchvision is missing, or lacks what is asked for.
        VerificationError: torch's lite interpreter cannot run the file. A difference does not
            raise: the result has it, and the file is not written unless it is to be kept.
    """
    from builder.export.exporter import export_model

    return export_model(request, progress=progress)
