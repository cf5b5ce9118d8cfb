"""Reads the header of the reference case of a model; it is fast, because it needs no NumPy."""

from __future__ import annotations

import json
import re
from pathlib import Path

SUFFIX = ".reference.safetensors"
MAX_HEADER = 1 << 20
"""Largest header in bytes; each tensor takes about a hundred."""
DTYPES = {
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BOOL": "bool",
}
"""Names of dtypes in safetensors headers -> those of `builder.core.tensors.DType`."""
_INPUT = re.compile(r"(?:method\.\w+\.)?input\.")
"""The name of an input, of forward or of another method."""


def reference_path(model: Path) -> Path:
    """Returns the path of the reference case of `model`: `model.ptl.reference.safetensors`."""
    return model.with_name(model.name + SUFFIX)


def find_input_dtypes(model: Path, sha256: str) -> frozenset[str] | None:
    """Returns the dtypes of the inputs in the reference case of `model`; reads no tensors.

    None when there is no reference case, it cannot be read, or it belongs to another model.
    """
    try:
        # safetensors files begin with the length of their header, in 8 bytes (its README,
        # "Format").
        with reference_path(model).open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            # A longer header than allowed is cut, and then is no JSON.
            header = json.loads(stream.read(min(size, MAX_HEADER)))
        # A case of another model says nothing about this one.
        if header["__metadata__"]["model_sha256"] != sha256:
            return None
        tensors = (header[name] for name in header if _INPUT.match(name))
        return frozenset(DTYPES[tensor["dtype"]] for tensor in tensors)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
