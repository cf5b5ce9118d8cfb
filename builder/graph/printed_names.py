"""Names for printing: of values, which are unique in a graph, and of what constants are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from builder.graph.graph import Block, Graph, Node, Value
from builder.lite.objects import CustomObject, Device, Dict, List, ScriptObject, Tensor

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LONGEST = 80
"""Longest text of a constant, in characters."""
_MOST_ITEMS = 16
"""The most items of a list or tuple that are printed."""


def walk(graph: Graph) -> Iterator[tuple[int, Block | Node | None]]:
    """Yields blocks and nodes in the order of the code, with their depth; None ends a block.

    The block of the function comes first, with depth 0, its nodes have depth 1, and the blocks of
    these depth 2.
    """
    waiting: list[tuple[int, Block | Node | None]] = [(0, graph.block)]
    while waiting:
        depth, item = waiting.pop()
        yield depth, item
        if isinstance(item, Block):
            waiting.append((depth, None))
            waiting.extend((depth + 1, node) for node in reversed(item.nodes))
        elif isinstance(item, Node):
            waiting.extend((depth + 1, block) for block in reversed(item.blocks))


def name_values(graph: Graph) -> dict[Value, str]:
    """Returns a unique name for each value, which resembles its own if it has one."""
    names: dict[Value, str] = {}
    taken: dict[str, int] = {}
    for _, item in walk(graph):
        made = () if item is None else item.inputs if isinstance(item, Block) else item.outputs
        for value in made:
            hint = value.name if _NAME.fullmatch(value.name) else ""
            count = taken[hint] = taken.get(hint, 0) + 1
            if not hint:
                names[value] = str(count)
            else:
                # Names have no dots of their own.
                names[value] = hint if count == 1 else f"{hint}.{count}"
    return names


def describe_type(value: Value) -> str:
    """Returns the type of a value, such as `float32[1,?,4]` if it is a tensor of known sizes."""
    info = value.info
    if info is None or (info.dtype is None and info.sizes is None):
        return value.type
    sizes = ",".join("?" if size is None else str(size) for size in info.sizes or ())
    return f"{info.dtype or 'Tensor'}{'' if info.sizes is None else f'[{sizes}]'}"


def describe_constant(value: object) -> str:
    """Returns a short text for a constant or an attribute of a node."""
    match value:
        case Tensor():
            return f"{value.dtype}[{','.join(map(str, value.sizes))}]"
        case List():
            return f"[{_describe_items(value.items)}]"
        case tuple():
            return f"({_describe_items(value)}{',' if len(value) == 1 else ''})"
        case Dict():
            return f"{value.type or 'Dict'} of {len(value.items)} items"
        case ScriptObject() | CustomObject():
            return value.class_name
        case Device():
            return f"device({value.name!r})"
        case str():
            return repr(value[:_LONGEST]) + ("..." if len(value) > _LONGEST else "")
        case int() if abs(value) >= 1 << 64:
            return "a large int"
    return repr(value)


def plain_constant(value: object) -> object:
    """Returns what JSON has of a constant: the value itself, or a text if JSON has no such."""
    if isinstance(value, (str, bool, type(None))):
        return value
    if isinstance(value, int) and abs(value) < 1 << 64:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (List, tuple)):
        items = value.items if isinstance(value, List) else value
        # Items of items are only described, so that nesting costs nothing.
        return [
            describe_constant(item) if isinstance(item, (List, tuple)) else plain_constant(item)
            for item in items
        ]
    return describe_constant(value)


def _describe_items(items: list[object] | tuple[object, ...]) -> str:
    # Items of items are left out, so that nesting costs nothing.
    shown = [
        "..." if isinstance(item, (List, tuple)) else describe_constant(item)
        for item in items[:_MOST_ITEMS]
    ]
    return ", ".join([*shown, f"... {len(items)} items"] if len(items) > len(shown) else shown)
