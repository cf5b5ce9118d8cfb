"""Operators on constant tensors, where NumPy gives bit by bit what ATen gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.passes.scalar_rules import NotComputable
from builder.graph.tensor_arrays import Array, find_dtype, to_array, to_tensor
from builder.lite.objects import Device, Tensor

_SMALL = 4096
"""Elements that a tensor may have though the operator's arguments have fewer."""
_CPU, _FLOAT32 = Device("cpu"), SCALAR_TYPES.index("float32")
_FEW = 16
"""Elements of a tensor that is made of numbers only: a file can have very many such operators."""


def compute_tensor(name: str, arguments: list[object]) -> Tensor:
    """Returns the result of the operator `name`, such as `aten::permute`, on constants.

    Raises:
        NotComputable: the operator is not in the table, would fail, might give other bits, or
            its result has more elements than its arguments and is not small.
        ModelError: the file is damaged where the elements of a tensor are.
    """
    rule = RULES.get(name)
    if rule is None:
        raise NotComputable
    arrays = [_to_array(a) if isinstance(a, Tensor) else a for a in arguments]
    given = sum(a.size for a in arrays if isinstance(a, np.ndarray))
    try:
        # NaN and infinity are results here as in ATen, and no reason for a warning.
        with np.errstate(all="ignore"):
            result = rule(*arrays)
    except (
        AttributeError,  # an argument is no tensor
        IndexError,
        MemoryError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise NotComputable from error
    if not isinstance(result, np.ndarray) or result.size > max(given, _SMALL):
        raise NotComputable
    return to_tensor(result)


def _to_array(tensor: Tensor) -> Array:
    array = to_array(tensor)
    if array is None:
        raise NotComputable
    return array


def _same(array: Array, *_: object) -> Array:
    return array


def _permute(array: Array, dims: list[int]) -> Array:
    return array.transpose(dims)


def _transpose(array: Array, first: int, second: int) -> Array:
    return array.swapaxes(first, second)


def _t(array: Array) -> Array:
    return array.T if array.ndim <= 2 else _fail()


def _reshape(array: Array, shape: list[int]) -> Array:
    return array.reshape(shape)


def _flatten(array: Array, start: int = 0, end: int = -1) -> Array:
    # `flatten` makes one dimension of a scalar.
    if not array.ndim:
        return array.reshape(1)
    start, end = range(array.ndim)[start], range(array.ndim)[end]
    sizes = array.shape
    return array.reshape((*sizes[:start], math.prod(sizes[start : end + 1]), *sizes[end + 1 :]))


def _unsqueeze(array: Array, dim: int) -> Array:
    return np.expand_dims(array, dim)


def _squeeze(array: Array, dim: int) -> Array:
    return array.squeeze(dim) if array.ndim and array.shape[dim] == 1 else array


def _select(array: Array, dim: int, index: int) -> Array:
    return np.asarray(array.take(range(array.shape[dim])[index], dim))


def _to_dtype(array: Array, code: object, *_: object) -> Array:
    if not isinstance(code, int) or not 0 <= code < len(SCALAR_TYPES):
        raise NotComputable
    dtype = find_dtype(SCALAR_TYPES[code])
    # What C++ makes of a float that does not fit into an int depends on the CPU.
    if dtype is None or (array.dtype.kind == "f" and dtype.kind != "f"):
        raise NotComputable
    return array.astype(dtype)


def _arithmetic(rule: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def apply(left: object, right: object, alpha: object = 1) -> Array:
        # With alpha, ATen may use a fused multiply-add, which rounds once instead of twice.
        if alpha != 1 or not isinstance(left, np.ndarray):
            raise NotComputable
        # A number does not change the dtype of a float tensor, and makes an int tensor a float one.
        if isinstance(right, bool) or (isinstance(right, float) and left.dtype.kind != "f"):
            raise NotComputable
        other = right if isinstance(right, np.ndarray) else np.asarray(right, left.dtype)
        # ATen computes float16 in float32 and rounds at the end, which NumPy does not promise.
        # Mixed dtypes are promoted by other rules than NumPy's.
        if other.dtype != left.dtype or left.dtype.kind not in "fi" or left.dtype == "f2":
            raise NotComputable
        # The check comes before the sum, since the result itself may be larger than the memory.
        if math.prod(np.broadcast_shapes(left.shape, other.shape)) > max(left.size, _SMALL):
            raise NotComputable
        return rule(left, other)

    return apply


def _quotient(left: Array, right: Array) -> Array:
    if left.dtype.kind != "f":
        raise NotComputable
    return np.asarray(left / right)


def _root(array: Array) -> Array:
    return np.sqrt(array) if array.dtype in (np.float32, np.float64) else _fail()


def _fail() -> Array:
    raise NotComputable


def _number(value: object) -> Array:
    if type(value) is int:
        return np.asarray(value, np.int64)
    if type(value) is float:
        return np.asarray(value, np.float64)
    return _fail()


def _zeros(sizes: list[int], code: object = None, layout: object = None, *rest: object) -> Array:
    # The default dtype of a runtime is float32. A dense layout is 0 in c10/core/Layout.h.
    if any(type(size) is not int or size < 0 for size in sizes) or math.prod(sizes) > _FEW:
        raise NotComputable
    if layout not in (None, 0) or any(one not in (None, False, _CPU) for one in rest):
        raise NotComputable
    return _to_dtype(np.zeros(sizes, np.bool_), _FLOAT32 if code is None else code)


_ADD = _arithmetic(np.add)
_SUBTRACT = _arithmetic(np.subtract)
_MULTIPLY = _arithmetic(np.multiply)
_DIVIDE = _arithmetic(_quotient)

RULES: Final[Mapping[str, Callable[..., Array]]] = {
    "aten::add.Scalar": _ADD,
    "aten::add.Tensor": _ADD,
    "aten::clone": _same,
    "aten::contiguous": _same,
    "aten::detach": _same,
    "aten::div.Scalar": _DIVIDE,
    "aten::div.Tensor": _DIVIDE,
    "aten::flatten.using_ints": _flatten,
    "aten::mul.Scalar": _MULTIPLY,
    "aten::mul.Tensor": _MULTIPLY,
    "aten::neg": np.negative,
    "aten::permute": _permute,
    "aten::reshape": _reshape,
    "aten::select.int": _select,
    "aten::sqrt": _root,
    "aten::squeeze.dim": _squeeze,
    "aten::sub.Scalar": _SUBTRACT,
    "aten::sub.Tensor": _SUBTRACT,
    "aten::t": _t,
    "aten::to.dtype": _to_dtype,
    "aten::to.prim_dtype": _to_dtype,
    "aten::transpose.int": _transpose,
    "aten::unsqueeze": _unsqueeze,
    "aten::view": _reshape,
    "aten::zeros": _zeros,
    "prim::NumToTensor.Scalar": _number,
}
