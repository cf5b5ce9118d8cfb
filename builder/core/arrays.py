"""Values of tensors as NumPy's arrays, and seeded samples of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from builder.core.nesting import InputSpec, Number, list_leaves
from builder.core.tensors import DType, Tensor, TensorSpec

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_INTEGERS_BELOW = 8
"""Small, so that samples are valid indices of embeddings and classes of most models."""


def sample_inputs(specs: Sequence[InputSpec], *, seed: int) -> tuple[Tensor, ...]:
    """Returns the leaves of `specs`, depth first; the same for the same seed.

    Floats are normal, integers 0 to 7, bools even; a number is a tensor without dimensions.
    """
    generator = np.random.default_rng(seed)
    return tuple(
        to_tensor(np.asarray(leaf.value), leaf.spec)
        if isinstance(leaf, Number)
        else to_tensor(_sample(leaf, generator), leaf)
        for leaf in list_leaves(specs)
    )


def to_tensor(array: Array, spec: TensorSpec) -> Tensor:
    """Returns `array`, of the shape of `spec`, in its dtype."""
    return Tensor(spec, array.astype(little_endian(spec.dtype)).tobytes())


def little_endian(dtype: DType) -> np.dtype[Any]:
    """Returns numpy's type for the bytes of a `Tensor`."""
    return np.dtype(str(dtype)).newbyteorder("<")


def to_array(tensor: Tensor) -> Array:
    """Returns the values of `tensor`, read-only, in its shape."""
    return np.frombuffer(tensor.data, little_endian(tensor.spec.dtype)).reshape(tensor.spec.shape)


def _sample(spec: TensorSpec, generator: np.random.Generator) -> Array:
    match spec.dtype:
        case DType.FLOAT16 | DType.FLOAT32 | DType.FLOAT64:
            return np.asarray(generator.standard_normal(spec.shape))
        case DType.BOOL:
            return np.asarray(generator.integers(0, 2, spec.shape))
        case _:
            return np.asarray(generator.integers(0, _INTEGERS_BELOW, spec.shape))
