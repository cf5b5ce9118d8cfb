"""Reads what a method in Python or in TorchScript takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def needs_inputs(method: Callable[..., Any]) -> bool:
    """Returns whether a method has parameters without a default.

    `*arguments` count, since a method that only passes on what it is given has them; `**options`
    do not. A method that Python cannot describe is taken to need inputs.
    """
    if (schema := getattr(method, "schema", None)) is not None:
        return any(not one.has_default_value() for one in schema.arguments[1:])
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in parameters)
