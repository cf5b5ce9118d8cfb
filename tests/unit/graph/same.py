"""Whether two graphs are equal up to names and to where constants stand."""

from __future__ import annotations

from typing import Any

from builder.graph.graph import CONSTANT, Block, Graph, Value
from builder.lite.objects import List


def describe(graph: Graph) -> Any:
    """Returns the graph as plain values: equal graphs have equal descriptions."""
    numbers: dict[Value, int] = {}
    lines: list[Any] = []
    waiting: list[Any] = [graph.block]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Block):
            waiting.append(("end", item))
            waiting.extend(n for n in reversed(item.nodes) if n.operator != CONSTANT)
            lines.append(("begin", _define(item.inputs, numbers)))
        elif isinstance(item, tuple):
            lines.append(("end", [_use(v, numbers) for v in item[1].outputs]))
        else:
            lines.append(
                (
                    item.operator,
                    [_use(v, numbers) for v in item.inputs],
                    _define(item.outputs, numbers),
                    dict(item.attributes),
                    item.debug_handle,
                )
            )
            waiting.extend(reversed(item.blocks))
    return (graph.name, graph.arguments, graph.results, lines)


def _define(values: list[Value], numbers: dict[Value, int]) -> list[int]:
    for value in values:
        numbers[value] = len(numbers)
    return [numbers[value] for value in values]


def _use(value: Value, numbers: dict[Value, int]) -> Any:
    if value.is_constant:
        constant = value.constant
        if isinstance(constant, List):
            return ("list", constant.type, repr(constant.items))
        if isinstance(constant, (type(None), bool, int, float, complex, str)):
            return (type(constant).__name__, repr(constant))
        return ("constant", id(constant))
    return numbers[value]
