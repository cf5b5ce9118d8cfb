"""Dtypes, shapes and tensors, with the names of TorchScript and the C API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DRAWS_SEED = 0
"""Seed of the generator from which operators draw random numbers, for each run of a model that is
compared: PyTorch and a runtime then draw the same."""


class DType(StrEnum):
    """Scalar types of tensors in the C API (c10/core/ScalarType.h; codes in torchlite.h)."""

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
    """Dtype and shape of one tensor."""

    dtype: DType
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dense, contiguous, little-endian tensor."""

    spec: TensorSpec
    data: bytes
    """Elements in row-major order, `prod(shape) * itemsize` bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Inputs of one method of a model, and what it returns for them."""

    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    """Leaves in the order of torchlite.h: items of tuples and lists in order, values of dicts."""
    structure: str = ""
    """Structure of the arguments, when they are not just the inputs in order (core/nesting.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCase:
    """Inputs of a model, and the outputs of PyTorch at export, which a runtime must reproduce."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    """Leaves in the order of torchlite.h: items of tuples and lists in order, values of dicts."""
    torch_version: str
    model_sha256: str
    structure: str = ""
    """Structure of the arguments, when they are not just the inputs in order (core/nesting.py)."""
    methods: tuple[Call, ...] = ()
    """Calls of other methods than forward."""

    def find(self, method: str) -> Call | None:
        """Returns the call of `method`; None if the case has none."""
        forward = Call(
            method="forward", inputs=self.inputs, outputs=self.outputs, structure=self.structure
        )
        return next((one for one in (forward, *self.methods) if one.method == method), None)
