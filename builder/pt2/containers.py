"""Takes the containers of inputs apart, and makes those of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.graph.graph import Value
from builder.pt2.graph_builder import GraphBuilder
from builder.pt2.pytrees import NodeType, PyTree

_CONSTRUCTORS = {
    NodeType.TUPLE: "prim::TupleConstruct",
    NodeType.LIST: "prim::ListConstruct",
    NodeType.DICT: "prim::DictConstruct",
}


def unpack(graph_builder: GraphBuilder, value: Value, tree: PyTree) -> Iterator[Value]:
    """Yields the leaves of a value with the containers of `tree`, which has types."""
    if tree.kind is NodeType.LEAF:
        yield value
        return
    types = [child.type for child in tree.children]
    if tree.kind is NodeType.LIST:
        items: Sequence[Value] = graph_builder.add("prim::ListUnpack", [value], types)
    else:
        operator = "prim::TupleIndex" if tree.kind is NodeType.TUPLE else "prim::DictIndex"
        keys = tree.keys or range(len(tree.children))
        items = [
            graph_builder.add(operator, [value, graph_builder.as_value(key)], [kind])[0]
            for key, kind in zip(keys, types, strict=True)
        ]
    for item, child in zip(items, tree.children, strict=True):
        yield from unpack(graph_builder, item, child)


def construct(graph_builder: GraphBuilder, tree: PyTree, leaves: Iterator[Value]) -> Value:
    """Returns a value with the containers of `tree`, which has types."""
    if tree.kind is NodeType.LEAF:
        return next(leaves)
    items = [construct(graph_builder, child, leaves) for child in tree.children]
    if tree.kind is NodeType.DICT:
        keys = [graph_builder.as_value(key) for key in tree.keys]
        # Keys and values come in turn, as `prim::DictConstruct` wants them.
        items = [value for pair in zip(keys, items, strict=True) for value in pair]
    return graph_builder.construct(_CONSTRUCTORS[tree.kind], items, tree.type)
