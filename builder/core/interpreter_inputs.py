"""Converts inputs for torch's lite interpreter, which neither converts nor checks them itself.

The C API accepts an int in place of a float, a tensor without dimensions in place of a number, and
a tensor with one dimension in place of a list of numbers. The lite interpreter does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from builder.core.arrays import sample_inputs, to_array, to_tensor
from builder.core.input_checks import INPUTS_HINT, NUMBERS, inner_kinds, strip_optional
from builder.core.nesting import (
    Constant,
    Group,
    GroupKind,
    InputSpec,
    Named,
    Number,
    list_leaves,
    parse_input,
    split_named,
)
from builder.core.signatures import UNKNOWN, Argument, Kind, Signature
from builder.core.tensors import Tensor
from builder.errors import ConfigurationError, Hint, Use

Given = tuple[InputSpec, tuple[Tensor, ...]]
"""An input and its leaves, which are the tensors in it."""
_TYPES = {"int": int, "float": float, "bool": bool}


def adapt(
    signature: Signature | None, specs: Sequence[InputSpec], leaves: Iterable[Tensor]
) -> tuple[tuple[InputSpec, ...], tuple[Tensor, ...]]:
    """Returns inputs that fit `signature`, and their leaves; numbers get the types that it names.

    Args:
        signature: the signature of the method; when it is None, nothing changes.
        specs: one input per argument.
        leaves: the tensors in `specs`, depth first.
    """
    if signature is None:
        return tuple(specs), tuple(leaves)
    kinds = [argument.kind for argument in signature.arguments]
    # Too many inputs stay as they are; whoever is called refuses them.
    kinds += [UNKNOWN] * (len(specs) - len(kinds))
    rest = iter(leaves)
    given = [_adapt(kind, spec, rest) for kind, spec in zip(kinds, specs, strict=False)]
    return _specs(given), _leaves(given)


def place(
    signature: Signature, specs: Sequence[InputSpec], leaves: Iterable[Tensor]
) -> tuple[tuple[InputSpec, ...], tuple[Tensor, ...]]:
    """Returns inputs in the order of the arguments of a method, without names, and their leaves.

    An argument that stands between has its default.

    Raises:
        ConfigurationError: there is no such argument, it is given twice, or one between has no
            default that an input can describe.
    """
    positional, named = split_named(specs)
    if not named:
        return tuple(specs), tuple(leaves)
    parts = split_leaves(specs, leaves)
    given = list(zip(positional, parts, strict=False))
    # The parts follow the order of the inputs: first those by position, then those by name.
    rest = dict(zip(named, zip(named.values(), parts[len(given) :], strict=True), strict=True))
    free = signature.arguments[len(given) :]
    if lost := rest.keys() - {argument.name for argument in free}:
        raise ConfigurationError(
            f"{signature.method} takes {signature.parameters}: "
            f"{', '.join(sorted(lost))} is no argument of it, or is given by position too",
            hint=INPUTS_HINT,
        )
    for argument in free:
        # Arguments behind the last one that is given keep their defaults without our help.
        if not rest:
            break
        is_given = argument.name in rest
        given.append(rest.pop(argument.name) if is_given else _take_default(signature, argument))
    return _specs(given), _leaves(given)


def split_leaves(
    specs: Sequence[InputSpec], leaves: Iterable[Tensor]
) -> tuple[tuple[Tensor, ...], ...]:
    """Returns the leaves of each of `specs`."""
    rest = iter(leaves)
    return tuple(tuple(islice(rest, len(list_leaves((spec,))))) for spec in specs)


def _take_default(signature: Signature, argument: Argument) -> Given:
    # Files do not tell "no default" from None, and None fits an optional argument.
    if argument.kind.name == "Optional" and not argument.default:
        return Constant(None), ()
    try:
        spec = parse_input(argument.default)
    except ConfigurationError:
        raise ConfigurationError(
            f"{signature.method} takes {signature.parameters}: {argument.name} stands in front of "
            "inputs that are given, and has no default that builder can pass",
            hint=Hint("give it too: ", Use("inputs", f"{argument.name}=float32[1,3]")),
        ) from None
    return spec, sample_inputs((spec,), seed=0)


def _adapt(kind: Kind, spec: InputSpec, leaves: Iterator[Tensor]) -> Given:
    if isinstance(spec, Group):
        kinds = inner_kinds(kind, spec)
        # Each call takes its leaves from the same iterator, so the order of evaluation matters.
        given = [_adapt(k, item, leaves) for k, item in zip(kinds, spec.items, strict=True)]
        return Group(spec.kind, _specs(given), spec.keys), _leaves(given)
    if isinstance(spec, Constant):
        return spec, ()
    assert not isinstance(spec, Named), "inputs with names are placed first"
    leaf, wanted = next(leaves), strip_optional(kind)
    if isinstance(spec, Number):
        return _number(spec.value, wanted.name) if wanted.name in NUMBERS else (spec, (leaf,))
    # In reference cases and in the C API, a number is a tensor without dimensions.
    if not spec.shape and wanted.name in NUMBERS:
        return _number(to_array(leaf).item(), wanted.name)
    if len(spec.shape) == 1 and wanted.of and wanted.of[0].name in NUMBERS:
        items = [_number(value, wanted.of[0].name) for value in to_array(leaf).tolist()]
        return Group(GroupKind.LIST, _specs(items)), _leaves(items)
    return spec, (leaf,)


def _number(value: float, name: str) -> Given:
    number = Number(_TYPES[name](value))
    return number, (to_tensor(np.asarray(number.value), number.spec),)


def _specs(given: Iterable[Given]) -> tuple[InputSpec, ...]:
    return tuple(spec for spec, _ in given)


def _leaves(given: Iterable[Given]) -> tuple[Tensor, ...]:
    return tuple(leaf for _, leaves in given for leaf in leaves)
