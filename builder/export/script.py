"""From a Python module to TorchScript: traced, scripted, or as it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.errors import ModelError
from builder.export.messages import describe_torchscript_error, is_foreign, shorten
from builder.export.requests import Capture
from builder.system.progress import Progress

if TYPE_CHECKING:
    import torch

AS_IS = "as is"


def script_module(
    module: torch.nn.Module,
    inputs: Sequence[torch.Tensor],
    capture: Capture,
    *,
    progress: Progress,
) -> tuple[torch.jit.ScriptModule, str]:
    """Returns `module` as TorchScript, and how it became so (`trace`, `script`, `as is`).

    What the tracer warns of in the user's code goes to `progress`: these are the places where
    a trace freezes what the code decides.

    Raises:
        ModelError: TorchScript cannot express the module.
    """
    import torch

    if isinstance(module, torch.jit.ScriptModule) and capture is not Capture.TRACE:
        return module, AS_IS
    if capture is Capture.SCRIPT:
        return _script(module), Capture.SCRIPT
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", torch.jit.TracerWarning)
        traced = _trace(module, inputs)
    for text in sorted({_describe_warning(w) for w in caught if _is_told(w)}):
        progress.note(text)
    return traced, Capture.TRACE


def _trace(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> torch.jit.ScriptModule:
    import torch

    try:
        # Not strict, so that dicts may be returned; the check against a second run is left out
        # because the saved file is compared with eager PyTorch anyway.
        return torch.jit.trace(module, tuple(inputs), strict=False, check_trace=False)
    except Exception as error:  # the user's forward() runs in it
        raise ModelError(
            f"the model cannot be traced: {describe_torchscript_error(error)}",
            hint="try --script; a trace takes and returns tensors, or tuples, lists and dicts of "
            "tensors of one type",
        ) from error


def _script(module: torch.nn.Module) -> torch.jit.ScriptModule:
    import torch

    try:
        return torch.jit.script(module)
    except Exception as error:  # compiling runs the user's properties and hooks
        raise ModelError(
            f"the model cannot be scripted: {describe_torchscript_error(error)}",
            hint="annotate the types of arguments, move Python-only code behind "
            "@torch.jit.unused, or try --trace",
        ) from error


def _is_told(warning: warnings.WarningMessage) -> bool:
    import torch

    tracers = issubclass(warning.category, torch.jit.TracerWarning)
    return tracers and not is_foreign(warning.filename)


def _describe_warning(warning: warnings.WarningMessage) -> str:
    reason = shorten(str(warning.message)).split(". ")[0]
    return f"{warning.filename}:{warning.lineno}: {reason}"
