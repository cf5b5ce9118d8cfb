"""Model inputs as `--shape` and `--dtype` describe them, and seeded samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError

SCALAR = "scalar"
"""How the shape of a tensor without dimensions is written."""

_MOST_ELEMENTS, _MOST_DIMENSIONS = 1 << 30, 64


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
