"""Makes the bytes of lite files and writes the files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.core.model import NEWEST_BYTECODE, OLDEST_BYTECODE
from builder.core.tensors import ReferenceCase
from builder.errors import ConfigurationError, ModelError
from builder.export.compare import Sample
from builder.export.error_texts import describe_torchscript_error, shorten
from builder.export.request import LiteFormat, Saving
from builder.system.files import write_atomically
from builder.system.outputs import writing_file
from builder.system.reference_headers import reference_path
from builder.system.references import write_reference

if TYPE_CHECKING:
    import torch


def format_lite(
    module: torch.jit.ScriptModule,
    *,
    format: LiteFormat = LiteFormat.ZIP,  # noqa: A002 - the field's own word
    extra_files: Mapping[str, bytes] | None = None,
) -> bytes:
    """Returns the bytes of the lite file of `module`.

    They are made in memory: in a file, torch would name the archive's top folder after the file,
    so a temporary name would become a part of the bytes.

    Raises:
        ModelError: a part of the module cannot be written as bytecode.
    """
    options: dict[str, Any] = {"_extra_files": dict(extra_files)} if extra_files else {}
    if format is LiteFormat.FLATBUFFER:
        options["_use_flatbuffer"] = True
    try:
        return bytes(module._save_to_buffer_for_lite_interpreter(**options))  # noqa: SLF001 - no other name
    except RuntimeError as error:
        raise ModelError(
            f"the model cannot be saved for the lite interpreter: "
            f"{describe_torchscript_error(error)}",
            hint=_remedy(str(error)),
        ) from error


def read_bytecode_version(content: bytes) -> int:
    """Returns the bytecode version of a lite file."""
    from torch.jit.mobile import _get_model_bytecode_version

    return int(_get_model_bytecode_version(io.BytesIO(content)))


def check_saving(saving: Saving) -> None:
    """Raises ConfigurationError when `saving` asks for something that cannot be written."""
    version = saving.bytecode_version
    if version is not None and not OLDEST_BYTECODE <= version <= NEWEST_BYTECODE:
        raise ConfigurationError(
            f"the runtimes of builder cannot read bytecode version {version}",
            hint=f"they read versions {OLDEST_BYTECODE} to {NEWEST_BYTECODE}",
        )
    for name, path in saving.extra_files:
        if not path.is_file():
            raise ConfigurationError(f"--extra-file {name}: the file {path} does not exist")


def backport(content: bytes, version: int | None) -> bytes:
    """Returns a lite zip file with bytecode of `version`; unchanged if it has that version.

    Raises:
        ModelError: torch cannot write this model with that version.
    """
    import torch
    from torch.jit.mobile import _backport_for_mobile_to_buffer

    written = read_bytecode_version(content)
    if version is None or version == written:
        return content
    if version > written or not content.startswith(b"PK"):
        kind = "lite files" if content.startswith(b"PK") else "flatbuffer files"
        raise ModelError(
            f"torch {torch.__version__} writes {kind} with bytecode version {written}, "
            f"not {version}",
            hint=f"--bytecode-version takes {OLDEST_BYTECODE} to {written}, with --format zip",
        )
    try:
        older = bytes(_backport_for_mobile_to_buffer(io.BytesIO(content), version))
    except RuntimeError as error:
        raise ModelError(
            f"torch {torch.__version__} cannot write this model with bytecode version {version}: "
            f"{shorten(str(error))}",
            hint=f"leave out --bytecode-version; torch then writes version {written}",
        ) from error
    if (actual := read_bytecode_version(older)) != version:
        raise ModelError(f"torch wrote bytecode version {actual} instead of {version}")
    return older


def bundle_inputs(module: torch.jit.ScriptModule, sample: Sample) -> None:
    """Stores `sample` in `module`; `get_all_bundled_inputs()` of the module then returns it.

    Raises:
        ModelError: torch cannot store these inputs.
    """
    import torch
    from torch.utils.bundled_inputs import augment_model_with_bundled_inputs, bundle_large_tensor

    inputs = tuple(
        bundle_large_tensor(value) if isinstance(value, torch.Tensor) else value
        for value in sample.arguments()
    )
    try:
        augment_model_with_bundled_inputs(module, inputs=[inputs])
    except Exception as error:  # torch raises a plain Exception here
        raise ModelError(f"the inputs cannot be bundled: {shorten(str(error))}") from error


def check_writable(output: Path) -> None:
    """Raises ConfigurationError when the file `output` cannot be written."""
    folder = output.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if output.is_dir():
        raise ConfigurationError(
            f"{output} is a folder", hint=f"name a file in it: -o {output / 'model.ptl'}"
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"cannot write {output}: {folder} is not a writable folder",
            hint="choose another path for it",
        )


def write_model(output: Path, content: bytes, case: ReferenceCase | None) -> Path | None:
    """Writes the lite file and its reference case; returns the path of the reference case, if any.

    An older reference case is deleted first, so that an interruption never leaves a reference
    case that belongs to another file.
    """
    sidecar = reference_path(output)
    sidecar.unlink(missing_ok=True)
    with writing_file(output):
        write_atomically(output, content)
        if case is None:
            return None
        write_reference(sidecar, case)
    return sidecar


def _remedy(text: str) -> str | None:
    if "other than custom c++ classes" in text:
        return (
            "the lite interpreter does not support your Python classes: use tuples and dicts, make "
            "the class a torch.nn.Module, or try --trace, which leaves such classes out"
        )
    if "Python function call" in text:
        return "a lite file cannot call Python: remove @torch.jit.ignore"
    return None
