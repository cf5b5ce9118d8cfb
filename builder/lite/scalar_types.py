"""Names, codes and sizes of the scalar types that tensors in files can have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A scalar type (c10/core/ScalarType.h)."""

    code: int
    """Its number in the enumeration, which flatbuffer files contain."""
    name: str
    """Its name there; in a pickle, a storage is called `{name}Storage`."""
    dtype: str
    """Its name as a dtype of torch."""
    size: int
    """Bytes of an element of a storage."""
    packed: int = 1
    """Number of a tensor's elements in one element of a storage."""


_TYPES: tuple[tuple[str, str, int, int], ...] = (
    ("Byte", "uint8", 1, 1),
    ("Char", "int8", 1, 1),
    ("Short", "int16", 2, 1),
    ("Int", "int32", 4, 1),
    ("Long", "int64", 8, 1),
    ("Half", "float16", 2, 1),
    ("Float", "float32", 4, 1),
    ("Double", "float64", 8, 1),
    ("ComplexHalf", "complex32", 4, 1),
    ("ComplexFloat", "complex64", 8, 1),
    ("ComplexDouble", "complex128", 16, 1),
    ("Bool", "bool", 1, 1),
    ("QInt8", "qint8", 1, 1),
    ("QUInt8", "quint8", 1, 1),
    ("QInt32", "qint32", 4, 1),
    ("BFloat16", "bfloat16", 2, 1),
    ("QUInt4x2", "quint4x2", 1, 2),
    ("QUInt2x4", "quint2x4", 1, 4),
    ("Bits1x8", "bits1x8", 1, 8),
    ("Bits2x4", "bits2x4", 1, 4),
    ("Bits4x2", "bits4x2", 1, 2),
    ("Bits8", "bits8", 1, 1),
    ("Bits16", "bits16", 2, 1),
    ("Float8_e5m2", "float8_e5m2", 1, 1),
    ("Float8_e4m3fn", "float8_e4m3fn", 1, 1),
    ("Float8_e5m2fnuz", "float8_e5m2fnuz", 1, 1),
    ("Float8_e4m3fnuz", "float8_e4m3fnuz", 1, 1),
    ("UInt16", "uint16", 2, 1),
    ("UInt32", "uint32", 4, 1),
    ("UInt64", "uint64", 8, 1),
)
_ALL = tuple(ScalarType(code, *entry) for code, entry in enumerate(_TYPES))
BY_NAME = {one.name: one for one in _ALL}
BY_DTYPE = {one.dtype: one for one in _ALL}
BY_CODE = dict(enumerate(_ALL))
