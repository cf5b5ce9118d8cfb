"""Tensors of a model as NumPy arrays, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from builder.graph.graph import Graph
from builder.lite.objects import Storage, Tensor, walk

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "int8": np.dtype("i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "bool": np.dtype("?"),
}
_FREE_ELEMENTS = 2**20
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class Allowance:
    """Bounds the memory of new constants, since a small file can use one large tensor often."""

    __slots__ = ("left",)

    def __init__(self, *graphs: Graph) -> None:
        """Allows as many elements as all constants of `graphs` have, twice, and some more."""
        nodes = (node for graph in graphs for _, node in graph.block.walk())
        # Packed weights are tensors in the states of custom objects.
        constants = walk(node.attributes["value"] for node in nodes if "value" in node.attributes)
        storages = {held.storage for held in constants if isinstance(held, Tensor)}
        self.left = _FREE_ELEMENTS + 2 * sum(storage.elements for storage in storages)

    def take(self, elements: int) -> bool:
        """Whether a new tensor of this size is allowed; it counts from then on."""
        if elements > self.left:
            return False
        self.left -= elements
        return True


def find_dtype(name: str) -> np.dtype[Any] | None:
    """Returns the NumPy type for a scalar type such as `float32`; None if NumPy has none."""
    return _DTYPES.get(name)


def to_array(tensor: Tensor) -> Array | None:
    """Returns the elements of `tensor` as a read-only array of its shape.

    None for a dtype that NumPy lacks, for a quantised tensor, and for one that shows elements of
    its storage more than once, whose array could be far larger than the file.

    Raises:
        ModelError: the file is damaged where the elements are.
    """
    dtype = _DTYPES.get(tensor.dtype)
    size = math.prod(tensor.sizes)
    if dtype is None or tensor.quantizer is not None or size > tensor.storage.elements:
        return None
    if not size:
        return np.empty(tensor.sizes, dtype)
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.sizes, tensor.strides, strict=True)
    )
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0 or last >= tensor.storage.elements:
        return None
    # The bytes are not copied. A view of them with strides costs nothing, however large the weight.
    flat = np.frombuffer(tensor.storage.read(), dtype)
    return np.lib.stride_tricks.as_strided(
        flat[tensor.offset :],
        tensor.sizes,
        tuple(stride * dtype.itemsize for stride in tensor.strides),
        writeable=False,
    )


def to_tensor(array: Array, *, channels_last: bool = False) -> Tensor:
    """Returns a tensor with a copy of `array`, in row-major order or with the channels last.

    The channels of an array with four dimensions, such as a batch of images or the weight of a
    convolution, are its second dimension.
    """
    if channels_last:
        stored = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
        # The sizes stay NCHW; only the strides tell that the channels lie together.
        n, h, w, c = row_major_strides(stored.shape)
        strides: tuple[int, ...] = (n, c, h, w)
    else:
        stored = np.ascontiguousarray(array)
        strides = row_major_strides(array.shape)
    # Lite files are little-endian, whatever the machine.
    stored = stored.astype(stored.dtype.newbyteorder("<"), copy=False)
    data = memoryview(stored.tobytes())
    storage = Storage(dtype=_NAMES[stored.dtype], elements=stored.size, read=lambda: data)
    return Tensor(storage=storage, sizes=tuple(array.shape), strides=strides)


def row_major_strides(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the strides of a contiguous tensor, in elements."""
    strides = []
    step = 1
    for size in reversed(sizes):
        strides.append(step)
        # As in PyTorch: a dimension without elements counts as one.
        step *= max(size, 1)
    return tuple(reversed(strides))
