"""Reads what a method in Python or in TorchScript takes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from builder.core.nesting import InputSpec, split_named
from builder.errors import ConfigurationError, Hint, ModelError, Use


def needs_inputs(method: Callable[..., Any]) -> bool:
    """Returns whether a method has parameters without a default.

    `*arguments` count, since a method that only passes on what it is given has them; `**options`
    do not. A method that Python cannot describe is taken to need inputs.
    """
    # A method of TorchScript has a schema, and its Python signature is only `*args, **kwargs`.
    if (schema := getattr(method, "schema", None)) is not None:
        return any(not one.has_default_value() for one in schema.arguments[1:])
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in parameters)


def check_names(method: Callable[..., Any], specs: Sequence[InputSpec]) -> tuple[str, ...]:
    """Returns a remark on each input whose name no parameter has, if `**options` take it.

    Raises:
        ConfigurationError: nothing takes it.
    """
    _, named = split_named(specs)
    swallowed = False
    if (schema := getattr(method, "schema", None)) is not None:
        taken = [one.name for one in schema.arguments[1:]]
        name_of, shown = schema.name, ", ".join(taken)
    else:
        name_of, parameters = method.__name__, inspect.signature(method).parameters.values()
        swallowed = any(one.kind is one.VAR_KEYWORD for one in parameters)
        taken = [one.name for one in parameters]
        # Annotations would hide the names.
        shown = ", ".join(name_parameter(one) for one in parameters)
    lost = [name for name in named if name not in taken]
    if lost and not swallowed:
        # The hint shows the input as the user wrote it, under the name that was meant.
        near = difflib.get_close_matches(lost[0], taken, n=1) or taken[:1] or ["name"]
        raise ConfigurationError(
            f"{name_of} has no argument {lost[0]!r}; it takes ({shown:.800})",
            hint=Hint("write ", Use("inputs", f"{near[0]}={named[lost[0]]}")),
        )
    return tuple(
        f"{name_of} names no argument {name!r}: it may ignore this input; it takes ({shown:.800})"
        for name in lost
    )


def name_parameter(one: inspect.Parameter) -> str:
    """Returns a parameter as Python writes it, without its type."""
    return str(one.replace(annotation=one.empty))


def order_arguments(
    method: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Returns the arguments of a call by position, with defaults for those between.

    Raises:
        ModelError: a parameter takes a name only, or the arguments do not fit.
    """
    if not named:
        return arguments
    try:
        bound = inspect.signature(method).bind(*arguments, **named)
    except TypeError as error:
        raise ModelError(f"the inputs do not fit: {error}") from error
    # Defaults behind the last argument that is given stay out: a trace would make them inputs.
    last = max(list(bound.signature.parameters).index(name) for name in bound.arguments)
    bound.apply_defaults()
    # `bind` puts everything that can be given by position into `args`.
    if bound.kwargs:
        raise ModelError(
            f"{', '.join(bound.kwargs)}: a trace passes arguments by position only",
            hint=Hint("try ", Use("capture", "script")),
        )
    return bound.args[: last + 1]


def name_positions(method: Callable[..., Any], keys: Sequence[int | str]) -> inspect.Signature:
    """Returns the signature of a method that takes `self`, and the parameters `keys` of `method`.

    Args:
        method: any method.
        keys: positions or names of its parameters.
    """
    try:
        names = [*inspect.signature(method).parameters]
    except (TypeError, ValueError):
        names = []
    chosen = ["self"]
    for key in keys:
        known = names[key] if isinstance(key, int) and key < len(names) else f"input_{key}"
        chosen.append(key if isinstance(key, str) else known)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind) for name in chosen])
