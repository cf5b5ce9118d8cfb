"""Reads and writes reference cases: safetensors files with inputs and expected outputs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.core.arrays import Array, to_array
from builder.core.nesting import has_constants, list_arguments
from builder.core.tensors import Call, DType, ReferenceCase, Tensor, TensorSpec
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.system.files import write_atomically
from builder.system.reference_headers import DTYPES, MAX_HEADER

_FORMATS = ("1", "2")
"""Versions of the layout, which has tensors `input.N` and `output.N`, and metadata. The second one
may have strings and None in structures, and other methods: tensors `method.NAME.input.N` and
`method.NAME.output.N`, and the metadata `methods` and `structure.NAME`."""

_MOST_METHODS = 1000
"""Methods that are read; their tensors are counted for each."""
_LENGTH = 8
"""Bytes at the start of a safetensors file that give the length of its header."""
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def format_reference(case: ReferenceCase) -> bytes:
    """Returns `case` as the bytes of a safetensors file."""
    from safetensors.numpy import save

    tensors = _name_tensors("", case.inputs, case.outputs)
    is_new = bool(case.methods) or has_constants(list_arguments(case))
    metadata = {
        "format": _FORMATS[is_new],
        "model_sha256": case.model_sha256,
        "torch_version": case.torch_version,
    }
    if case.structure:
        metadata["structure"] = case.structure
    if case.methods:
        metadata["methods"] = ",".join(call.method for call in case.methods)
    for call in case.methods:
        tensors |= _name_tensors(f"method.{call.method}.", call.inputs, call.outputs)
        if call.structure:
            metadata[f"structure.{call.method}"] = call.structure
    return bytes(save(tensors, metadata))


def _name_tensors(
    prefix: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> dict[str, Array]:
    # Numbers in the names keep the order, which safetensors does not.
    named = {f"{prefix}input.{i}": to_array(t) for i, t in enumerate(inputs)}
    return named | {f"{prefix}output.{i}": to_array(t) for i, t in enumerate(outputs)}


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
    if metadata.get("format") not in _FORMATS:
        raise _broken(
            path,
            f"its format is {metadata.get('format')!r}, but this builder reads "
            f"{' and '.join(map(repr, _FORMATS))}",
        )
    sha256 = metadata.get("model_sha256", "")
    if not _SHA256.match(sha256):
        raise _broken(path, "it does not contain the digest of its model")
    forward = _to_call(path, "forward", "", metadata.get("structure", ""), tensors)
    methods = tuple(
        _to_call(path, name, f"method.{name}.", metadata.get(f"structure.{name}", ""), tensors)
        for name in filter(None, metadata.get("methods", "").split(",")[:_MOST_METHODS])
    )
    found = sum(len(call.inputs) + len(call.outputs) for call in (forward, *methods))
    if found != len(tensors):
        raise _broken(path, "its tensors do not have the names input.0, ... and output.0, ...")
    return ReferenceCase(
        inputs=forward.inputs,
        outputs=forward.outputs,
        torch_version=metadata.get("torch_version", "unknown"),
        model_sha256=sha256,
        structure=forward.structure,
        methods=methods,
    )


def _to_call(
    path: Path, method: str, prefix: str, structure: str, tensors: Mapping[str, Tensor]
) -> Call:
    call = Call(
        method=method,
        inputs=_numbered(f"{prefix}input", tensors),
        outputs=_numbered(f"{prefix}output", tensors),
        structure=structure,
    )
    if not method.isidentifier() or not call.outputs:
        raise _broken(path, f"it has no outputs of {method!r:.80}")
    try:
        list_arguments(call)
    except ConfigurationError as error:
        raise _broken(path, error.message) from error
    return call


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
    return Tensor(TensorSpec(DType(dtype), tuple(entry["shape"])), bytes(entry["data"]))


def _broken(path: Path, why: str) -> VerificationError:
    return VerificationError(
        f"{path} is not a valid reference case: {why}",
        hint=Hint(
            "export the model again: ", Run("export", ("SOURCE", Use("output", "MODEL.ptl")))
        ),
    )
