"""Renders functions as the pickles of lite zip files have them: what `bytecode.py` reads."""

from __future__ import annotations

from collections.abc import Sequence

from builder.lite.model import Argument, Callee, Function
from builder.lite.objects import List


def render_bytecode(version: int, functions: Sequence[Function]) -> tuple[object, ...]:
    """Returns the value that `parse_bytecode` reads."""
    return (version, *map(_render_function, functions))


def _render_function(function: Function) -> tuple[object, ...]:
    code = (
        ("instructions", tuple((step.opcode, step.x, step.n) for step in function.instructions)),
        ("operators", tuple(map(_render_callee, function.callees))),
        ("constants", function.constants),
        ("types", function.types),
        ("register_size", function.registers),
    )
    if function.arguments is None or function.results is None:
        return function.name, code
    schema = (
        ("arguments", tuple(map(_render_argument, function.arguments))),
        ("returns", tuple(map(_render_argument, function.results))),
    )
    return function.name, code, schema


def _render_callee(callee: Callee) -> tuple[object, ...]:
    known = () if callee.arguments is None else (callee.arguments,)
    return (callee.name, callee.overload, *known)


def _render_argument(argument: Argument) -> tuple[object, ...]:
    return (
        ("name", argument.name),
        ("type", argument.type),
        ("default_value", argument.default),
    )


def render_debug_handles(version: int, functions: Sequence[Function]) -> tuple[object, ...] | None:
    """Returns the value that `add_debug_handles` reads; None if no function has any."""
    if all(function.debug_handles is None for function in functions):
        return None
    return (version, *map(_render_handles, functions))


def _render_handles(function: Function) -> tuple[object, ...]:
    # The record has an entry for each function; -1 is the handle of no instruction.
    handles = function.debug_handles
    items = [-1] * len(function.instructions) if handles is None else handles
    table = (("function_debug_handles", (List("List[int]", list(items)),)),)
    return function.name, table
