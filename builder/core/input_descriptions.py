"""Parses descriptions of model inputs: plain shapes and dtypes, or whole specifications."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from builder.core.counts import number_of
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError

SCALAR = "scalar"
"""The text for the shape of a tensor without dimensions."""

_MOST_ELEMENTS, _MOST_DIMENSIONS = 1 << 30, 64
"""Limits that keep a typing error from taking all memory."""


def parse_specs(shapes: Sequence[str], dtypes: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Returns one spec per shape; a single dtype is for all shapes, and without one it is float32.

    Raises:
        ConfigurationError: a shape or dtype is not valid, or their numbers do not match.
    """
    if dtypes and not shapes:
        raise ConfigurationError(
            "dtypes have no effect without shapes", hint="give one shape per input as well"
        )
    kinds = tuple(map(parse_dtype, dtypes)) or (DType.FLOAT32,)
    if len(kinds) == 1:
        kinds *= len(shapes)
    if len(kinds) != len(shapes):
        raise ConfigurationError(
            f"dtypes and shapes do not match: {number_of(len(kinds), 'dtype')} for "
            f"{number_of(len(shapes), 'shape')}",
            hint="give one dtype for all inputs, or one for each shape",
        )
    return tuple(TensorSpec(d, parse_shape(s)) for d, s in zip(kinds, shapes, strict=True))


def parse_shape(text: str) -> tuple[int, ...]:
    """Returns `(1, 3, 224, 224)` for `1,3,224,224`, and `()` for `scalar`.

    Raises:
        ConfigurationError: `text` is not a shape, or has more than 2^30 elements.
    """
    if text.strip() == SCALAR:
        return ()
    sizes = [part.strip() for part in text.replace("x", ",").split(",")]
    # isdigit accepts digits of other scripts, and int() takes long over very many digits.
    if len(sizes) > _MOST_DIMENSIONS or not all(
        size.isascii() and size.isdigit() and len(size) < 12 for size in sizes
    ):
        raise ConfigurationError(
            f"not a shape: {text!r:.120}", hint=f"write it as 1,3,224,224, or as {SCALAR}"
        )
    shape = tuple(map(int, sizes))
    if prod(shape) > _MOST_ELEMENTS:
        raise ConfigurationError(
            f"shape {text!r} has {prod(shape):,} elements",
            hint=f"use a shape with at most {_MOST_ELEMENTS:,} elements",
        )
    return shape


def parse_dtype(text: str) -> DType:
    """Returns the dtype with the name `text`; ConfigurationError when no dtype has that name."""
    try:
        return DType(text.strip())
    except ValueError:
        known = ", ".join(DType)
        raise ConfigurationError(
            f"unknown dtype: {text!r}", hint=f"known dtypes are {known}"
        ) from None
