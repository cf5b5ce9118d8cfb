"""Converts TorchScript files, whose operators builder cannot read, to lite files with bytecode."""

from __future__ import annotations

import io

import torch

from builder.errors import ModelError, ToolchainError
from builder.export.error_texts import shorten
from builder.export.torchscript_files import load_file


def convert_torchscript(content: bytes) -> bytes:
    """Loads a TorchScript file on the CPU and returns it as a lite zip.

    The model is not optimised, so its operators stay the same. Loading runs the `__setstate__` of
    its classes, which may be any TorchScript; so call this only in a confined process.

    Raises:
        ModelError: torch cannot load or save the model.
    """
    try:
        module = load_file(io.BytesIO(content))
        return bytes(module._save_to_buffer_for_lite_interpreter())  # noqa: SLF001 - no other name
    except ToolchainError:
        raise
    except Exception as error:  # damaged files make torch raise anything, and so does their code
        raise ModelError(
            f"PyTorch {torch.__version__} cannot turn it into lite bytecode: {shorten(str(error))}",
            hint="export the model again with the PyTorch that wrote it",
        ) from error
