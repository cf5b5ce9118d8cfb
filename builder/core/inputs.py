"""Model inputs as `--shape` and `--dtype` describe them, and seeded samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from builder.core.nesting import InputSpec, Number, list_leaves
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import ConfigurationError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SCALAR = "scalar"
"""How the shape of a tensor without dimensions is written."""

_MOST_ELEMENTS, _MOST_DIMENSIONS = 1 << 30, 64
_INTEGERS_BELOW = 8
"""Small, so that samples are valid indices of embeddings and classes of most models."""


def parse_specs(shapes: Sequence[str], dtypes: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Returns one spec per shape; one dtype serves all shapes, none means float32.

    Raises:
        ConfigurationError: a shape or dtype that cannot be read, or counts that do not match.
    """
    if dtypes and not shapes:
        raise ConfigurationError(
            "--dtype without --shape says nothing", hint="give --shape once per input as well"
        )
    kinds = tuple(map(parse_dtype, dtypes)) or (DType.FLOAT32,)
    if len(kinds) == 1:
        kinds *= len(shapes)
    if len(kinds) != len(shapes):
        raise ConfigurationError(
            f"{len(kinds)} dtypes for {len(shapes)} shapes",
            hint="give one --dtype for all inputs, or one for each --shape",
        )
    return tuple(TensorSpec(d, parse_shape(s)) for d, s in zip(kinds, shapes, strict=True))


def parse_shape(text: str) -> tuple[int, ...]:
    """Returns `(1, 3, 224, 224)` of `1,3,224,224` and `()` of `scalar`.

    Raises:
        ConfigurationError: anything else, or more than 2^30 elements.
    """
    if text.strip() == SCALAR:
        return ()
    sizes = [part.strip() for part in text.replace("x", ",").split(",")]
    if len(sizes) > _MOST_DIMENSIONS or not all(
        size.isascii() and size.isdigit() and len(size) < 12 for size in sizes
    ):
        raise ConfigurationError(
            f"not a shape: {text!r:.120}", hint=f"write it as 1,3,224,224, or as {SCALAR}"
        )
    shape = tuple(map(int, sizes))
    if prod(shape) > _MOST_ELEMENTS:
        raise ConfigurationError(
            f"shape {text!r} has {prod(shape):,} elements", hint=f"at most {_MOST_ELEMENTS:,} work"
        )
    return shape


def parse_dtype(text: str) -> DType:
    """Returns the dtype named `text`; ConfigurationError when there is none of that name."""
    try:
        return DType(text.strip())
    except ValueError:
        known = ", ".join(DType)
        raise ConfigurationError(f"unknown dtype: {text!r}", hint=f"known: {known}") from None


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
