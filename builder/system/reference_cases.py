"""Reads and writes reference cases: safetensors files with inputs and expected outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path

from builder.core.arrays import Array, little_endian, to_array
from builder.core.nesting import has_constants, list_arguments
from builder.core.tensors import DType, ReferenceCase, Tensor, TensorSpec
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.system.files import write_atomically
from builder.system.reference_headers import MAX_HEADER

_FORMATS = ("1", "2")
"""Versions of the layout, which has tensors `input.N` and `output.N`, and metadata. The second one
may have strings and None in the structure."""

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def format_reference(case: ReferenceCase) -> bytes:
    """Returns `case` as the bytes of a safetensors file."""
    from safetensors.numpy import save

    # Numbers in the names keep the order, which safetensors does not.
    tensors = {f"input.{i}": to_array(t) for i, t in enumerate(case.inputs)}
    tensors |= {f"output.{i}": to_array(t) for i, t in enumerate(case.outputs)}
    metadata = {
        "format": _FORMATS[has_constants(list_arguments(case))],
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
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise VerificationError(f"there is no reference case at {path}")
    with path.open("rb") as stream:
        # Checked before safetensors reads the header, whose length is not trusted.
        if (header := int.from_bytes(stream.read(8), "little")) > MAX_HEADER:
            raise _broken(path, f"its header has {header:,} bytes")
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise _broken(path, str(error)) from error
    return _to_case(path, metadata, tensors)


def _to_case(
    path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Array]
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
    inputs = _numbered(path, "input", tensors)
    outputs = _numbered(path, "output", tensors)
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


def _numbered(path: Path, prefix: str, tensors: Mapping[str, Array]) -> tuple[Tensor, ...]:
    numbered: list[Tensor] = []
    while (name := f"{prefix}.{len(numbered)}") in tensors:
        numbered.append(_to_tensor(path, name, tensors[name]))
    return tuple(numbered)


def _to_tensor(path: Path, name: str, array: Array) -> Tensor:
    try:
        dtype = DType(array.dtype.name)
    except ValueError:
        raise _broken(path, f"{name} has the unknown dtype {array.dtype.name}") from None
    spec = TensorSpec(dtype, tuple(array.shape))
    data = array.astype(little_endian(dtype)).tobytes()
    assert len(data) == prod(spec.shape) * dtype.itemsize
    return Tensor(spec, data)


def _broken(path: Path, why: str) -> VerificationError:
    return VerificationError(
        f"{path} is not a valid reference case: {why}",
        hint=Hint(
            "export the model again: ", Run("export", ("SOURCE", Use("output", "MODEL.ptl")))
        ),
    )
