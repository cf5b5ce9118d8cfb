"""TorchScript files made readable: torch writes the bytecode that the file lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder.errors import ModelError
from builder.export.capabilities import INSTALL


def save_for_lite_interpreter(source: Path, destination: Path) -> None:
    """Loads the TorchScript file `source` on the CPU and saves it as a lite zip.

    The model is not optimised: its operators are those it has now. No method of it is run but
    `__setstate__`, which torch calls to load packed weights.

    Raises:
        ModelError: torch is not installed, or cannot load or save the model.
    """
    try:
        import torch
    except (ImportError, OSError) as error:
        raise ModelError(
            f"{source} is TorchScript without bytecode; only PyTorch can say its operators, "
            f"and it cannot be imported here ({error})",
            hint=f"{INSTALL}; or give the .ptl file that "
            f"`builder export {source} -o model.ptl` writes",
        ) from error
    try:
        module = _load(torch, source)
        module._save_for_lite_interpreter(str(destination))  # noqa: SLF001 - it has no other name
    except RuntimeError as error:
        raise ModelError(
            f"PyTorch {torch.__version__} cannot turn {source} into lite bytecode: "
            f"{_first_line(error)}",
            hint="export it with the PyTorch that wrote it: builder export SOURCE -o model.ptl",
        ) from error


def _load(torch: Any, source: Path) -> Any:  # noqa: ANN401 - torch has no types here
    try:
        return torch.jit.load(str(source), map_location="cpu")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    import torchvision  # noqa: F401 - registers its operators

    return torch.jit.load(str(source), map_location="cpu")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
