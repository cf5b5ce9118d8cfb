"""Exporting models."""

from __future__ import annotations

import atexit
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.known import KnownOperators
    from builder.export.interpreter import Interpreter
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

    interpreter = _keep_interpreter()
    interpreter.set_limits(request.limits)
    return export_model(
        request, known=read_known_operators(), interpreter=interpreter, progress=progress
    )


@functools.cache
def _keep_interpreter() -> Interpreter:
    """Returns the one for all exports of this process, so that its child imports torch once."""
    from builder.export.interpreter import Interpreter

    interpreter = Interpreter(confined=False)
    atexit.register(interpreter.close)
    return interpreter


def read_known_operators() -> KnownOperators:
    """Returns the operators that a runtime of the pinned PyTorch can have."""
    from builder.api.sources import load_source_lock
    from builder.core.known import parse_known
    from builder.system.places import data_folder

    path = data_folder("third_party") / f"operators-{load_source_lock().version}.txt"
    return parse_known(path.read_text().splitlines())
