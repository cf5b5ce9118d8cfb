"""Inputs that a model file bundles (torch.utils.bundled_inputs): its own methods make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from builder.core.counts import number_of
from builder.core.input_checks import NUMBERS
from builder.core.nesting import Group, GroupKind, InputSpec
from builder.core.signatures import Kind, Signature, find_signature
from builder.core.tensors import Tensor, TensorSpec
from builder.errors import ConfigurationError, Hint, Run, Use

_METHOD = "get_all_bundled_inputs"
"""Gives the inputs of forward; files of newer torches have such a method for each method too."""

Given = tuple[tuple[InputSpec, ...], tuple[Tensor, ...]]
"""The inputs of a call, one per argument, and their leaves."""


def name_source(signatures: Iterable[Signature], method: str) -> str | None:
    """Returns the method that gives the bundled inputs of `method`; None where there is none."""
    names = {one.method for one in signatures}
    wanted = (f"{_METHOD}_for_{method}", *((_METHOD,) if method == "forward" else ()))
    return next((name for name in wanted if name in names), None)


def take_bundled(
    signatures: Sequence[Signature],
    method: str,
    number: int,
    run: Callable[[str], Sequence[Tensor]],
    *,
    model: str,
) -> Given:
    """Returns one of the inputs that a model bundles for `method`.

    Args:
        signatures: of the methods of the model.
        method: what the inputs are for.
        number: which inputs; the first are 0.
        run: runs a method without arguments, and returns the leaves of its result.
        model: how messages call the model.

    Raises:
        ConfigurationError: the model bundles none for the method, or fewer, or some that are not
            made of tensors, numbers and tuples.
    """
    source = name_source(signatures, method)
    if source is None:
        raise ConfigurationError(
            f"{model} bundles no inputs for {method}",
            hint=Hint(
                Run("export", ("SOURCE", Use("bundle_inputs"))),
                " stores some; you can also describe random inputs with ",
                Use("inputs", "float32[1,3,224,224]"),
            ),
        )
    signature = find_signature(signatures, source)
    kind = _find_item(signature) if signature else None
    if kind is None or (count := _count_leaves(kind)) is None:
        returns = ", ".join(map(str, signature.returns)) if signature else ""
        raise ConfigurationError(
            f"{model}: {source} returns {returns:.120}, and builder reads tensors, numbers and "
            "tuples of them only",
            hint=Hint("describe the inputs yourself: ", Use("inputs", "float32[1,3,224,224]")),
        )
    leaves = iter(run(source))
    calls = [tuple(islice(leaves, count)) for _ in range(number + 1)] if count else []
    found = sum(len(call) == count for call in calls)
    if found <= number:
        raise ConfigurationError(
            f"{model} bundles inputs for {number_of(found, 'call')} of {method}, so there are "
            f"none with the number {number}",
            hint="the first inputs have the number 0",
        )
    chosen = calls[number]
    group = _build(kind, iter([leaf.spec for leaf in chosen]))
    assert isinstance(group, Group)  # the item is a tuple
    return group.items, chosen


def _find_item(signature: Signature) -> Kind | None:
    """Returns the type of the inputs of one call, which is a tuple."""
    match signature.returns:
        case (Kind("List", (Kind("Tuple") as item,)),) if not signature.arguments:
            return item
    return None


def _count_leaves(kind: Kind) -> int | None:
    """Returns how many leaves a value has; None where its type does not tell."""
    if kind.name == "Tuple":
        counts = [_count_leaves(item) for item in kind.of]
        return None if None in counts else sum(count for count in counts if count is not None)
    return 1 if kind.name == "Tensor" or kind.name in NUMBERS else None


def _build(kind: Kind, specs: Iterator[TensorSpec]) -> InputSpec:
    if kind.name != "Tuple":
        return next(specs)  # the C API takes a tensor without dimensions in place of a number
    return Group(GroupKind.TUPLE, tuple(_build(item, specs) for item in kind.of))
