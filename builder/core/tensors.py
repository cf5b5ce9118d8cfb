"""Tensor types and shapes as builder, TorchScript and the C API name them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DType(StrEnum):
    """Scalar types that cross the C API (c10/core/ScalarType.h; codes in torchlite.h)."""

    UINT8 = "uint8"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOL = "bool"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _ITEMSIZE[self]


_ITEMSIZE = {
    DType.UINT8: 1,
    DType.INT8: 1,
    DType.INT16: 2,
    DType.INT32: 4,
    DType.INT64: 8,
    DType.FLOAT16: 2,
    DType.FLOAT32: 4,
    DType.FLOAT64: 8,
    DType.BOOL: 1,
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type and shape of one tensor."""

    dtype: DType
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dense, contiguous, little-endian tensor."""

    spec: TensorSpec
    data: bytes
    """Row-major elements; `prod(shape) * itemsize` bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCase:
    """What PyTorch gave at export: inputs, and the outputs a runtime must reproduce."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    """Leaves in the order torchlite.h flattens them: tuples and lists in order, dict values."""
    torch_version: str
    model_sha256: str
    structure: str = ""
    """How the model takes the inputs, where that is not one after the other (core/nesting.py)."""
