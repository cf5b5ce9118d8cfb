"""Converts tensors to NumPy arrays and back, and makes seeded samples of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from builder.core.nesting import InputSpec, Number, list_leaves
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import ConfigurationError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_INTEGERS_BELOW = 8
"""Samples stay below this, so they are valid indices of embeddings and classes in most models."""
_PART = 1 << 16
"""Values that are drawn at a time; how many makes no difference to the values."""


def sample_inputs(specs: Sequence[InputSpec], *, seed: int) -> tuple[Tensor, ...]:
    """Returns sample tensors for `specs`, depth first; the same seed gives the same samples.

    Floats are normally distributed, integers are 0 to 7, and bools are true or false with the same
    probability. A number becomes a tensor without dimensions.

    Raises:
        ConfigurationError: a tensor is larger than the memory, or has too many dimensions.
    """
    generator = np.random.default_rng(seed)
    return tuple(
        to_tensor(np.asarray(leaf.value), leaf.spec)
        if isinstance(leaf, Number)
        else _sample(leaf, generator)
        for leaf in list_leaves(specs)
    )


def to_tensor(array: Array, spec: TensorSpec) -> Tensor:
    """Returns `array` as a tensor of the dtype of `spec`; its shape must be that of `spec`."""
    return Tensor(spec, array.astype(little_endian(spec.dtype)).tobytes())


def little_endian(dtype: DType) -> np.dtype[Any]:
    """Returns the NumPy type of the bytes in a `Tensor`."""
    # Reference cases are files, so their byte order may not depend on the machine.
    return np.dtype(str(dtype)).newbyteorder("<")


def to_array(tensor: Tensor) -> Array:
    """Returns the values of `tensor` as a read-only array of the same shape."""
    return np.frombuffer(tensor.data, little_endian(tensor.spec.dtype)).reshape(tensor.spec.shape)


def _sample(spec: TensorSpec, generator: np.random.Generator) -> Tensor:
    try:
        array = np.empty(spec.shape, little_endian(spec.dtype))
        values = array.reshape(-1)
        # NumPy draws 8 bytes for each value: all at once, bytes would take nine times their size.
        for start in range(0, values.size, _PART):
            part = values[start : start + _PART]
            part[:] = _draw(spec.dtype, part.size, generator)
        return Tensor(spec, array.tobytes())
    except (MemoryError, ValueError) as error:
        raise ConfigurationError(
            f"no sample can be made of {spec!s:.120}: {error}", hint="choose smaller inputs"
        ) from error


def _draw(dtype: DType, count: int, generator: np.random.Generator) -> Array:
    match dtype:
        case DType.FLOAT16 | DType.FLOAT32 | DType.FLOAT64:
            return generator.standard_normal(count)
        case DType.BOOL:
            return generator.integers(0, 2, count)
        case _:
            return generator.integers(0, _INTEGERS_BELOW, count)
