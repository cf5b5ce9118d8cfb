"""TorchScript files and lite files, loaded as TorchScript."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from builder.core.nesting import InputSpec, list_arguments
from builder.errors import ModelError, ToolchainError, VerificationError
from builder.export.capabilities import import_torchvision
from builder.export.error_texts import shorten
from builder.system.reference_headers import reference_path
from builder.system.references import read_reference

if TYPE_CHECKING:
    import torch

NOT_A_SOURCE = "a torchvision name, package.module:factory, or a TorchScript file"
_PICKLED = (
    "weights or a pickled module need the code that builds the model: write a function that "
    "returns it, and export package.module:function, with --weights for a state dict"
)


def load_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, tuple[InputSpec, ...]]:
    """Returns the module in `path`, on the CPU, and the inputs that a reference case beside it has.

    A lite file carries its TorchScript as well, and is loaded by that.

    Raises:
        ModelError: it is missing, or no TorchScript.
        ToolchainError: it needs torchvision's operators, and that is missing.
    """
    if not path.is_file():
        raise ModelError(f"no such file: {path}", hint=f"SOURCE is {NOT_A_SOURCE}")
    try:
        with path.open("rb") as stream:
            module = load_file(stream)
    except ToolchainError:
        raise
    except Exception as error:  # damaged files make torch raise anything, and so does their code
        reason = shorten(str(error))
        raise ModelError(f"{path} is not TorchScript: {reason}", hint=_PICKLED) from error
    if not any(name == "forward" for name in _method_names(module)):
        raise ModelError(
            f"{path} has no forward()", hint="save the module that has it with torch.jit.save"
        )
    return module, _saved_inputs(path)


def load_file(stream: BinaryIO) -> torch.jit.ScriptModule:
    """Returns what `torch.jit.load` makes of a TorchScript file, on the CPU.

    Raises:
        RuntimeError, ValueError, ...: whatever torch raises over a file.
        ToolchainError: it needs torchvision's operators, and that is missing.
    """
    import torch

    load = functools.partial(torch.jit.load, stream, map_location="cpu")
    try:
        return load()
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    import_torchvision()  # registers the operators that the file needs
    stream.seek(0)
    return load()


def _method_names(module: torch.jit.ScriptModule) -> list[str]:
    return list(module._c._method_names())  # noqa: SLF001 - no other name


def _saved_inputs(path: Path) -> tuple[InputSpec, ...]:
    try:
        case = read_reference(reference_path(path))
    except VerificationError:
        return ()
    return list_arguments(case)
