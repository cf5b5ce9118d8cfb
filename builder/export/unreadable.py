"""Finds out what torch writes into a lite file and no lite interpreter can read."""

from __future__ import annotations

import re

from builder.errors import Hint, ModelError, Use
from builder.lite.model import LiteModel
from builder.lite.objects import ScriptObject, walk

_PYTORCHS = re.compile(r"__torch__\.(torch\.(?!classes\.)[\w.]+)", re.ASCII)
"""A class of PyTorch's own Python code; the loader takes such names for C++ classes."""


def check_readable(model: LiteModel, *, optimised: bool) -> None:
    """Raises ModelError when the lite interpreter cannot read a file that torch has written."""
    found = find_unreadable(model)
    if not found:
        return
    raise ModelError(
        f"the lite interpreter cannot read the file: {found}",
        hint="keep a str or an int in the module instead of an Enum, and a tuple of tensors "
        "instead of a NamedTuple of torch"
        if optimised
        else Hint(
            "the optimisation computes such values when it can: leave out ",
            Use("optimisation.enabled", False),
        ),
    )


def find_unreadable(model: LiteModel) -> str:
    """Returns what in a lite file no lite interpreter can read; empty if there is nothing."""
    return _find_enum(model) or _find_type(model)


def _find_enum(model: LiteModel) -> str:
    classes = {function.name.rpartition(".")[0] for function in model.functions}
    constants = (constant for function in model.functions for constant in function.constants)
    for item in walk([model.root, *constants]):
        # A class with methods cannot be an Enum.
        if isinstance(item, ScriptObject) and item.may_be_enum and item.class_name not in classes:
            name = item.class_name.removeprefix("__torch__.")
            return f"it has a member of an Enum, {name}({item.state!r})"
    return ""


def _find_type(model: LiteModel) -> str:
    for function in model.functions:
        for text in function.types:
            if match := _PYTORCHS.search(text):
                kind = "a NamedTuple" if "[NamedTuple" in text else "a value"
                method = function.name.removeprefix("__torch__.")
                return f"{method}() makes {kind} of {match[1]}"
    return ""
