"""Loads TorchScript files, and lite files, as TorchScript."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import BinaryIO

import torch

from builder.core.nesting import InputSpec, list_arguments
from builder.errors import Hint, ModelError, ToolchainError, Use, VerificationError
from builder.export.capabilities import import_torchvision
from builder.export.checkpoints import MOST_RECORDS
from builder.export.error_texts import shorten
from builder.lite.bytecode import BYTECODE
from builder.lite.zip_model import CONSTANTS
from builder.system.guarded_zips import open_zip_file
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path

_UNKNOWN = re.compile(r"Unknown builtin op: (?P<name>[a-z_0-9]+::\w+)", re.ASCII)
_NEWER = re.compile(r"file with version \d+, but the maximum supported version|newer than")
_TORCHS = ("aten::", "prim::", "quantized::", "prepacked::")
SOURCE_KINDS = (
    "a torchvision name, package.module:factory, or a file: a program of torch.export (.pt2), "
    "TorchScript (.pt) or a lite file (.ptl)"
)
_PICKLED = Hint(
    "a file with weights or a pickled module needs the code that creates the model: write a "
    "function that returns the model, export package.module:function, and give a state dict with ",
    Use("weights"),
)


def load_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, tuple[InputSpec, ...]]:
    """Returns the module in `path`, on the CPU, and the inputs of the reference case next to it.

    A lite file also contains its TorchScript, from which it is loaded.

    Raises:
        ModelError: the file is missing, or is not TorchScript.
        ToolchainError: the file needs operators of torchvision, which is not installed.
    """
    if not path.is_file():
        raise ModelError(f"no such file: {path}", hint=f"SOURCE is {SOURCE_KINDS}")
    try:
        with path.open("rb") as stream:
            module = load_file(stream)
    except ToolchainError:
        raise
    except Exception as error:  # damaged files make torch raise anything, and so does their code
        raise _unreadable(path, error) from error
    if not any(name == "forward" for name in _method_names(module)):
        raise ModelError(
            f"{path} has no forward()", hint="save a module with forward() by torch.jit.save"
        )
    return module, _saved_inputs(path)


def _unreadable(path: Path, error: Exception) -> ModelError:
    """Returns why torch cannot load the file: by a newer torch, a custom operator, or damage."""
    unknown, newer = _UNKNOWN.search(str(error)), _NEWER.search(str(error))
    if unknown and not unknown["name"].startswith(_TORCHS):
        return ModelError(
            f"{path} calls {unknown['name']}, a custom operator whose library is not loaded",
            hint="a runtime does not have custom operators: write the model without it",
        )
    if unknown or newer:
        lacks = f"it has no {unknown['name']}" if unknown else "the format is newer"
        return ModelError(
            f"{path} is TorchScript by a newer torch, which torch {torch.__version__} cannot read: "
            f"{lacks}",
            hint="export it with the torch that wrote it, or save it there for the lite "
            "interpreter: module._save_for_lite_interpreter(path); builder exports that file "
            "without torch",
        )
    if CONSTANTS in str(error) and _has_bytecode(path):
        return ModelError(
            f"{path} is a lite file without TorchScript, as builder writes them, and this export "
            "needs TorchScript",
            hint="export the model that it was made from",
        )
    return ModelError(f"{path} is not TorchScript: {shorten(str(error))}", hint=_PICKLED)


def _has_bytecode(path: Path) -> bool:
    with path.open("rb") as stream:
        names = open_zip_file(stream, str(path), ModelError, most=MOST_RECORDS).namelist()
    return any(name.endswith(f"/{BYTECODE}") for name in names)


def load_file(stream: BinaryIO) -> torch.jit.ScriptModule:
    """Loads a TorchScript file on the CPU, with `torch.jit.load`.

    Raises:
        RuntimeError, ValueError, ...: torch raises many types for a damaged file.
        ToolchainError: the file needs operators of torchvision, which is not installed.
    """
    load = functools.partial(torch.jit.load, stream, map_location="cpu")
    try:
        return load()
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    import_torchvision()  # registers the operators that the file needs
    # The first attempt has read a part of it.
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
