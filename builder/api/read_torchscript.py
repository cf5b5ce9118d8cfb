"""Reads what TorchScript files need, by the help of torch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from builder.core.model_facts import ModelFormat, ModelInfo
from builder.errors import BuilderError
from builder.export.interpreter import Interpreter
from builder.models.read import read_model
from builder.system.limits import Limits
from builder.system.scratch import scratch_folder


def read_torchscript(path: Path, limits: Limits) -> ModelInfo:
    """Returns what a TorchScript file says of itself, after torch made a lite file of it.

    torch runs code in the file, in a process with `limits` that cannot write files.

    Raises:
        ModelError: torch cannot load the file, or the lite file cannot be read.
        ToolchainError: torch is missing, or this machine cannot confine it.
        VerificationError: torch crashed, or reached a limit.
    """
    content = path.read_bytes()
    with scratch_folder() as folder:
        # The name becomes the origin of the operators, so it stays that of the file.
        lite = folder / path.name
        try:
            lite.write_bytes(Interpreter(limits, confined=True).convert(content))
            info = read_model(lite)
        except BuilderError as error:
            # The lite file is builder's own and means nothing to the user.
            message = error.message.removeprefix(f"{lite}: ")
            raise type(error)(f"{path}: {message}", hint=error.hint) from error
    return replace(
        info,
        # What was given is identified, not what torch made of it.
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        format=ModelFormat.TORCHSCRIPT,
        bytecode_version=None,
    )
