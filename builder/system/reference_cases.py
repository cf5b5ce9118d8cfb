"""Reads and writes reference cases: safetensors files with inputs and expected outputs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.core.arrays import to_array
from builder.core.nesting import list_arguments
from builder.core.tensors import ReferenceCase, Tensor, TensorSpec
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.system.files import write_atomically
from builder.system.reference_headers import DTYPES, MAX_HEADER

FORMAT = "1"
"""Version of the layout, which has tensors `input.N` and `output.N`, and metadata."""

_LENGTH = 8
"""Bytes at the start of a safetensors file that give the length of its header."""
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def format_reference(case: ReferenceCase) -> bytes:
    """Returns `case` as the bytes of a safetensors file."""
    from safetensors.numpy import save

    # Numbers in the names keep the order, which safetensors does not.
    tensors = {f"input.{i}": to_array(t) for i, t in enumerate(case.inputs)}
    tensors |= {f"output.{i}": to_array(t) for i, t in enumerate(case.outputs)}
    metadata = {
        "format": FORMAT,
        "model_sha256": case.model_sha256,
        "torch_version": case.torch_version,
        **({"structure": case.structure} if case.structure else {}),
    }
    return bytes(save(tensors, metadata))


def write_reference(path: Path, case: ReferenceCase) -> None:
    """Writes `case` to `path`, completely or not at all."""
    write_atomically(path, format_reference(case))


def read_reference(path: Path) -> ReferenceCase:
    """Returns the reference case at `path`.

    Raises:
        VerificationError: the file is missing, is not a safetensors file, or has another layout.
    """
    from safetensors import SafetensorError, deserialize

    if not path.is_file():
        raise VerificationError(f"there is no reference case at {path}")
    try:
        content = _read(path)
        entries = deserialize(content)
        metadata = _parse_metadata(content)
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(path, str(error)) from error
    except MemoryError:
        raise _broken(path, "it is larger than the memory") from None
    return _to_case(
        path, metadata, {name: _to_tensor(path, name, entry) for name, entry in entries}
    )


def _read(path: Path) -> bytes:
    # Nothing is mapped: a file that somebody cuts would kill who reads it.
    with path.open("rb") as stream:
        # Checked before safetensors reads the header, whose length is not trusted.
        if (header := int.from_bytes(stream.read(_LENGTH), "little")) > MAX_HEADER:
            raise _broken(path, f"its header has {header:,} bytes")
        stream.seek(0)
        return stream.read(os.fstat(stream.fileno()).st_size)


def _parse_metadata(content: bytes) -> Mapping[str, str]:
    """Returns the texts in a header that safetensors has checked, but does not return."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    return json.loads(content[_LENGTH:end]).get("__metadata__") or {}


def _to_case(
    path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> ReferenceCase:
    # Another layout may mean something else by the same names.
    if metadata.get("format") != FORMAT:
        raise _broken(
            path, f"its format is {metadata.get('format')!r}, but this builder reads {FORMAT!r}"
        )
    sha256 = metadata.get("model_sha256", "")
    if not _SHA256.match(sha256):
        raise _broken(path, "it does not contain the digest of its model")
    inputs = _numbered("input", tensors)
    outputs = _numbered("output", tensors)
    if len(inputs) + len(outputs) != len(tensors) or not outputs:
        raise _broken(path, "its tensors do not have the names input.0, ... and output.0, ...")
    case = ReferenceCase(
        inputs=inputs,
        outputs=outputs,
        torch_version=metadata.get("torch_version", "unknown"),
        model_sha256=sha256,
        structure=metadata.get("structure", ""),
    )
    try:
        list_arguments(case)
    except ConfigurationError as error:
        raise _broken(path, error.message) from error
    return case


def _numbered(prefix: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    numbered: list[Tensor] = []
    while (name := f"{prefix}.{len(numbered)}") in tensors:
        numbered.append(tensors[name])
    return tuple(numbered)


def _to_tensor(path: Path, name: str, entry: Mapping[str, Any]) -> Tensor:
    dtype = DTYPES.get(entry["dtype"])
    if dtype is None:
        raise _broken(path, f"{name} has the unknown dtype {entry['dtype']}")
    # The bytes of a file are little-endian too.
    return Tensor(TensorSpec(dtype, tuple(entry["shape"])), bytes(entry["data"]))


def _broken(path: Path, why: str) -> VerificationError:
    return VerificationError(
        f"{path} is not a valid reference case: {why}",
        hint=Hint(
            "export the model again: ", Run("export", ("SOURCE", Use("output", "MODEL.ptl")))
        ),
    )
