"""Makes the bytes of lite files and writes the files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch.jit.mobile import _backport_for_mobile_to_buffer
from torch.utils.bundled_inputs import augment_model_with_bundled_inputs, bundle_large_tensor

from builder.errors import Hint, ModelError, Use
from builder.export.error_texts import describe_torchscript_error, shorten
from builder.export.request import LiteFormat
from builder.export.samples import Sample
from builder.export.values import to_arguments
from builder.lite.read import parse_lite

_CLASS = re.compile(r"The problematic type is: __torch__\.(?P<name>\S+)")
"""The end of the message of torch/csrc/jit/serialization/export_module.cpp."""
_LONGEST_NAME = 200


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
            f"the model cannot be saved for the lite interpreter: {_find_reason(error)}",
            hint=_remedy(str(error)),
        ) from error


def _read_bytecode_version(content: bytes) -> int:
    # Not by torch: without XNNPACK, it cannot read the packed weights beside the version.
    return parse_lite(content).bytecode_version


def backport(content: bytes, version: int | None) -> bytes:
    """Returns a lite zip file with bytecode of `version`; unchanged if it has that version.

    Raises:
        ModelError: torch cannot write this model with that version.
    """
    written = _read_bytecode_version(content)
    if version is None or version == written:
        return content
    # torch writes older versions of zip files only.
    if version > written or not content.startswith(b"PK"):
        kind = "lite files" if content.startswith(b"PK") else "flatbuffer files"
        raise ModelError(
            f"torch {torch.__version__} writes {kind} with bytecode version {written}, "
            f"not {version}",
            hint=Hint(
                *(Use("bytecode_version"), f" takes at most {written}, with "),
                Use("format", "zip"),
            ),
        )
    try:
        older = bytes(_backport_for_mobile_to_buffer(io.BytesIO(content), version))
    except RuntimeError as error:
        raise ModelError(
            f"torch {torch.__version__} cannot write this model with bytecode version {version}: "
            f"{shorten(str(error))}",
            hint=Hint(
                *("leave out ", Use("bytecode_version")),
                f"; torch then writes version {written}",
            ),
        ) from error
    # What torch wrote counts, and not what it was asked for.
    if (actual := _read_bytecode_version(older)) != version:
        raise ModelError(f"torch wrote bytecode version {actual} instead of {version}")
    return older


def bundle_inputs(module: torch.jit.ScriptModule, sample: Sample) -> None:
    """Stores `sample` in `module`; `get_all_bundled_inputs()` of the module then returns it.

    Raises:
        ModelError: torch cannot store these inputs.
    """
    inputs = tuple(
        # torch refuses to bundle larger tensors as they are (torch/utils/bundled_inputs.py,
        # MAX_RAW_TENSOR_SIZE).
        bundle_large_tensor(value) if isinstance(value, torch.Tensor) else value
        for value in to_arguments(sample)
    )
    try:
        augment_model_with_bundled_inputs(module, inputs=[inputs])
    except Exception as error:  # torch raises a plain Exception here
        raise ModelError(f"the inputs cannot be bundled: {shorten(str(error))}") from error


def _find_reason(error: RuntimeError) -> str:
    # torch names the class at the end of a message that is too long to be shown.
    refused = _CLASS.search(str(error))
    if refused is None:
        return describe_torchscript_error(error)
    return f"its code makes objects of the class {refused['name'][:_LONGEST_NAME]}"


def _remedy(text: str) -> str | None:
    if "other than custom c++ classes" in text:
        return Hint(
            "the lite interpreter does not support your Python classes: use tuples and dicts, make "
            "the class a torch.nn.Module, or try ",
            *(Use("capture", "trace"), ", which leaves such classes out"),
        )
    if "Python function call" in text:
        return "a lite file cannot call Python: remove @torch.jit.ignore"
    return None
