"""Prints graphs: as text like TorchScript's, as values for JSON, and as a picture for Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from builder.graph.graph import CONSTANT, Block, Graph, Node, Value
from builder.graph.printed_names import (
    describe_constant,
    describe_type,
    name_values,
    plain_constant,
    walk,
)

_DEEPEST = 20
"""Blocks that are nested deeper are not indented further, which bounds the length of lines."""
_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r"})
"""So that one node stays in one line."""


def render_graph(graph: Graph) -> str:
    """Returns a graph as text, one node in a line.

    The form is that in which TorchScript prints graphs. Tensors of known sizes have a type such
    as `float32[1,3,?,?]`.
    """
    names = name_values(graph)
    results = ", ".join(one.type or "?" for one in graph.results)
    lines = [f"graph {graph.name}({_declare(graph.block.inputs, names)}) -> {results}:"]
    numbers = _number_blocks(graph)
    # `walk` gives None where a block ends, and the innermost open block is the one that ends.
    ends: list[Block] = []
    for depth, item in walk(graph):
        indent = "  " * min(depth, _DEEPEST)
        if item is None:
            outputs = ", ".join(f"%{names[value]}" for value in ends.pop().outputs)
            lines.append(f"{indent}  -> ({outputs})" if depth else f"  return ({outputs})")
        elif isinstance(item, Node):
            lines.append(indent + _render_node(item, names))
        else:
            ends.append(item)
            # The outermost block is the function itself, which has a line of its own.
            if depth:
                inputs = _declare(item.inputs, names)
                lines.append(f"{indent}block{numbers[item]}({inputs}):")
    # Names of classes and of attributes are foreign text.
    return "".join(f"{line.translate(_BREAKS)}\n" for line in lines)


def list_graph(graph: Graph) -> dict[str, object]:
    """Returns a graph as plain values, in the form of builder/schemas/graph.json.

    Nested blocks stand in one list and have numbers, so that the depth of JSON is bounded.
    """
    names = name_values(graph)
    blocks = [item for _, item in walk(graph) if isinstance(item, Block)]
    numbers = {block: number for number, block in enumerate(blocks)}
    return {
        "name": graph.name,
        "arguments": [{"name": one.name, "type": one.type} for one in graph.arguments],
        "results": [one.type for one in graph.results],
        "values": {name: _list_value(value) for value, name in names.items()},
        "blocks": [
            {
                "inputs": [names[value] for value in block.inputs],
                "nodes": [_list_node(node, names, numbers) for node in block.nodes],
                "outputs": [names[value] for value in block.outputs],
            }
            for block in blocks
        ],
    }


def draw_graphs(graphs: Iterable[Graph]) -> str:
    """Returns graphs in the language of Graphviz; constants stand in the boxes that use them."""
    lines = ["digraph {", '  node [shape=box, fontname="sans-serif"];']
    for number, graph in enumerate(graphs):
        lines += _draw(graph, f"g{number}")
    return "\n".join([*lines, "}"]) + "\n"


def _render_node(node: Node, names: Mapping[Value, str]) -> str:
    made = _declare(node.outputs, names)
    attributes = _list_attributes(node)
    call = f"{node.operator}{attributes}({', '.join(f'%{names[one]}' for one in node.inputs)})"
    return f"{made} = {call}" if made else call


def _declare(values: Sequence[Value], names: Mapping[Value, str]) -> str:
    typed = ((names[value], describe_type(value)) for value in values)
    return ", ".join(f"%{name} : {kind}" if kind else f"%{name}" for name, kind in typed)


def _list_attributes(node: Node) -> str:
    parts = (f"{key}={describe_constant(value)}" for key, value in node.attributes.items())
    text = ", ".join(parts)
    return f"[{text}]" if text else ""


def _number_blocks(graph: Graph) -> dict[Block, int]:
    """Returns the place of each block among the blocks of its node."""
    return {
        block: number
        for _, item in walk(graph)
        if isinstance(item, Node)
        for number, block in enumerate(item.blocks)
    }


def _list_value(value: Value) -> dict[str, object]:
    info = value.info
    return {
        "type": value.type or None,
        "dtype": None if info is None else info.dtype,
        "sizes": None if info is None or info.sizes is None else list(info.sizes),
    }


def _list_node(
    node: Node, names: Mapping[Value, str], numbers: Mapping[Block, int]
) -> dict[str, object]:
    return {
        "operator": node.operator,
        "inputs": [names[value] for value in node.inputs],
        "outputs": [names[value] for value in node.outputs],
        "attributes": {key: plain_constant(value) for key, value in node.attributes.items()},
        "blocks": [numbers[block] for block in node.blocks],
    }


def _draw(graph: Graph, prefix: str) -> list[str]:
    """Returns the lines of one graph; each block is a frame around its nodes."""
    lines: list[str] = []
    # Constants get no box, so an edge from one finds nothing here and is left out.
    boxes: dict[Value, str] = {}
    ends: list[tuple[str, Block]] = []
    owners: dict[Block, str] = {}
    for number, (_, item) in enumerate(walk(graph)):
        box = f"{prefix}n{number}"
        if item is None:
            start, block = ends.pop()
            lines += [f"  {start}r [label={_quote(_end_label(block))}, shape=ellipse];"]
            lines += _draw_edges(block.outputs, f"{start}r", boxes)
            lines.append("  }")
        elif isinstance(item, Block):
            label = graph.name if item is graph.block else "block"
            lines.append(f"  subgraph cluster_{box} {{ label={_quote(label)};")
            ends.append((box, item))
            if item.inputs:
                inputs = ", ".join(value.name or "value" for value in item.inputs)
                lines.append(f"  {box} [label={_quote(inputs)}, shape=ellipse];")
                boxes |= dict.fromkeys(item.inputs, box)
            if item in owners:
                # A block without inputs has only the ellipse of its results, whose name ends with
                # r.
                lines.append(f"  {owners[item]} -> {box}{'' if item.inputs else 'r'};")
        elif item.operator != CONSTANT:
            lines.append(f"  {box} [label={_quote(_label(item))}];")
            lines += _draw_edges(item.inputs, box, boxes)
            boxes |= dict.fromkeys(item.outputs, box)
            owners |= dict.fromkeys(item.blocks, box)
    return lines


def _draw_edges(values: Iterable[Value], box: str, boxes: Mapping[Value, str]) -> list[str]:
    return [f"  {boxes[value]} -> {box};" for value in values if value in boxes]


def _label(node: Node) -> str:
    constants = [describe_constant(one.constant) for one in node.inputs if one.is_constant]
    kinds = [kind for kind in map(describe_type, node.outputs) if kind]
    names = [value.name for value in node.outputs if value.name]
    title = f"{node.operator}{_list_attributes(node)}"
    return "\n".join([title, *(", ".join(part) for part in (names, constants, kinds) if part)])


def _end_label(block: Block) -> str:
    constants = [describe_constant(one.constant) for one in block.outputs if one.is_constant]
    return "\n".join(["results", *constants])


def _quote(text: str) -> str:
    # Graphviz knows these escapes in a quoted text (https://graphviz.org/doc/info/lang.html).
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\r", ""), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
