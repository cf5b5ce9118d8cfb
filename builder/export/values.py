"""Converts between values of torch and the plain tensors of core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from builder.core.arrays import to_array
from builder.core.nesting import (
    Constant,
    Group,
    GroupKind,
    InputSpec,
    Named,
    Number,
    check_string,
)
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import ModelError
from builder.export.samples import Sample


def to_torch(tensor: Tensor) -> torch.Tensor:
    """Returns a new torch tensor with the values of `tensor`."""
    # Copied: the array is read-only, and a model may write to its input.
    return torch.from_numpy(to_array(tensor).copy())


def to_arguments(sample: Sample) -> tuple[Any, ...]:
    """Returns the arguments of a call without names, as `to_call` does."""
    arguments, named = to_call(sample)
    assert not named
    return arguments


def to_call(sample: Sample) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of a call, by position and by name, as values of Python and torch.

    They are new for each call, since a model may write to its inputs. With `channels_last`, tensors
    of four dimensions have the memory format NHWC, and those of five NDHWC.
    """
    rest = iter(sample.leaves)

    def build(spec: InputSpec) -> Any:  # noqa: ANN401 - what a model takes
        match spec:
            case TensorSpec():
                tensor = to_torch(next(rest))
                return lay_out(tensor) if sample.channels_last else tensor
            case Number():
                next(rest)
                return spec.value
            case Constant():
                return spec.value
            case Group(kind=GroupKind.DICT):
                return {k: build(item) for k, item in zip(spec.keys, spec.items, strict=True)}
            case Group(kind=GroupKind.LIST):
                return [build(item) for item in spec.items]
            case Group():
                return tuple(build(item) for item in spec.items)
            case Named():
                return build(spec.spec)

    values = list(zip(sample.keys, map(build, sample.specs), strict=True))
    named = {key: value for key, value in values if isinstance(key, str)}
    return tuple(value for key, value in values if not isinstance(key, str)), named


def from_arguments(arguments: Sequence[Any]) -> tuple[tuple[InputSpec, ...], tuple[Tensor, ...]]:
    """Returns the specifications and leaves of values, for example from a user's loader.

    Raises:
        ModelError: a value cannot be an input of a model.
    """
    leaves: list[Tensor] = []

    def describe(value: Any, place: str) -> InputSpec:  # noqa: ANN401
        match value:
            # bool comes first wherever types are told apart: it is an int in Python.
            case bool() | int() | float():
                leaves.append(_to_tensor(value, place))
                return Number(value)
            case None:
                return Constant(None)
            case str():
                _check_string(value, place)
                return Constant(value)
            case Mapping():
                items = tuple(describe(item, f"{place}[{key!r}]") for key, item in value.items())
                return Group(GroupKind.DICT, items, tuple(map(str, value)))
            case list() | tuple():
                kind = GroupKind.LIST if isinstance(value, list) else GroupKind.TUPLE
                items = tuple(describe(item, f"{place}[{i}]") for i, item in enumerate(value))
                return Group(kind, items)
            case _:
                leaves.append(_to_tensor(value, place))
                return leaves[-1].spec

    specs = tuple(describe(value, f"input {index}") for index, value in enumerate(arguments))
    return specs, tuple(leaves)


def _check_string(value: str, place: str) -> None:
    try:
        check_string(value)
    except ValueError as error:
        raise ModelError(
            f"{place} is a string that no app can pass: {error}",
            hint="use strings of whole characters, without a zero",
        ) from error


def lay_out(tensor: torch.Tensor) -> torch.Tensor:
    """Returns `tensor` in a channels-last memory format if it has four or five dimensions."""
    # Other numbers of dimensions have no such format.
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if tensor.dim() not in formats:
        return tensor
    return tensor.contiguous(memory_format=formats[tensor.dim()])


def flatten_outputs(value: Any) -> tuple[Tensor, ...]:  # noqa: ANN401 - a model returns anything
    """Returns the leaves of a model's result in the order of the runtime's C API.

    The order is depth first; tuples and lists keep their order, dicts their insertion order. None
    is skipped; Python numbers become tensors without dimensions (float64, int64, bool).

    Raises:
        ModelError: there is no leaf, a leaf has another type, or a dtype that the C API lacks.
    """
    tensors = tuple(_to_tensor(leaf, place) for leaf, place in _leaves(value, "the output"))
    if not tensors:
        raise ModelError(
            "the model returns no values that can be compared",
            hint="return a tensor, or tuples, lists or dicts of tensors and numbers",
        )
    return tensors


def _leaves(value: Any, place: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
    elif value is not None:
        yield value, place


def _to_tensor(leaf: Any, place: str) -> Tensor:  # noqa: ANN401

    match leaf:
        case torch.Tensor():
            return _from_torch(leaf, place)
        case bool():
            return _from_torch(torch.tensor(leaf, dtype=torch.bool), place)
        case int():
            return _from_torch(torch.tensor(leaf, dtype=torch.int64), place)
        case float():
            return _from_torch(torch.tensor(leaf, dtype=torch.float64), place)
        case _:
            raise ModelError(
                f"{place} is a {type(leaf).__name__}, which cannot be compared",
                hint="return tensors, numbers, bools, or tuples, lists and dicts of them",
            )


def _from_torch(tensor: torch.Tensor, place: str) -> Tensor:
    name = str(tensor.dtype).removeprefix("torch.")
    # A sparse tensor has no plain bytes.
    if name not in set(DType) or tensor.layout != torch.strided:
        kind = name if tensor.layout == torch.strided else str(tensor.layout)
        raise ModelError(
            f"{place} is a {kind} tensor, which the C API of the runtimes does not support",
            hint=f"convert it in forward(); the C API supports dense tensors of {', '.join(DType)}",
        )
    # NumPy knows no lazy conjugation or negation.
    array = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().numpy()
    return Tensor(TensorSpec(DType(name), tuple(array.shape)), array.tobytes())
