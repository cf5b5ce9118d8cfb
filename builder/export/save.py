"""Lite files: their bytes, and how they get to their place."""

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
    """Returns the lite file of `module`.

    Made in memory: a file's own name would become the archive's top folder, and so a
    temporary name a part of the bytes.

    Raises:
        ModelError: something in the module cannot be written as bytecode.
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
    """Returns the version of the bytecode in a lite file."""
    from torch.jit.mobile import _get_model_bytecode_version

    return int(_get_model_bytecode_version(io.BytesIO(content)))


def check_saving(saving: Saving) -> None:
    """Raises ConfigurationError for what cannot be written, before anything is done."""
    version = saving.bytecode_version
    if version is not None and not OLDEST_BYTECODE <= version <= NEWEST_BYTECODE:
        raise ConfigurationError(
            f"no runtime of builder reads bytecode version {version}",
            hint=f"it reads versions {OLDEST_BYTECODE} to {NEWEST_BYTECODE}",
        )
    for name, path in saving.extra_files:
        if not path.is_file():
            raise ConfigurationError(f"--extra-file {name}: there is no file {path}")


def backport(content: bytes, version: int | None) -> bytes:
    """Returns a lite zip with bytecode of `version`; as it is when that is what it has.

    Raises:
        ModelError: torch cannot write that version of this model.
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
            hint=f"it is written with version {written} without --bytecode-version",
        ) from error
    if (found := read_bytecode_version(older)) != version:
        raise ModelError(f"asked for bytecode version {version}, torch wrote {found}")
    return older


def bundle_inputs(module: torch.jit.ScriptModule, sample: Sample) -> None:
    """Puts `sample` into `module`, as what `get_all_bundled_inputs()` returns.

    Raises:
        ModelError: torch cannot.
    """
    import torch
    from torch.utils.bundled_inputs import augment_model_with_bundled_inputs, bundle_large_tensor

    inputs = tuple(
        bundle_large_tensor(value) if isinstance(value, torch.Tensor) else value
        for value in sample.arguments()
    )
    try:
        augment_model_with_bundled_inputs(module, inputs=[inputs])
    except Exception as error:  # it raises bare Exception
        raise ModelError(f"the inputs cannot be bundled: {shorten(str(error))}") from error


def check_writable(output: Path) -> None:
    """Raises ConfigurationError when `output` cannot become a file, before anything is done."""
    folder = output.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if output.is_dir():
        raise ConfigurationError(
            f"{output} is a folder", hint=f"name a file in it: -o {output / 'model.ptl'}"
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"cannot write {output}: {folder} is no folder that can be written to",
            hint="choose another place with -o",
        )


def write_model(output: Path, content: bytes, case: ReferenceCase | None) -> Path | None:
    """Writes the lite file and its reference case; returns the path of the latter, if any.

    An older reference case goes first: whenever this is interrupted, none is left that
    belongs to another file.
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
            "the lite interpreter knows no Python classes of yours: use tuples and dicts, make it "
            "a torch.nn.Module, or try --trace, which leaves them out"
        )
    if "Python function call" in text:
        return "no lite file can call Python: remove @torch.jit.ignore"
    return None
