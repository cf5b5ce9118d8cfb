"""Takes the containers of inputs apart, and makes those of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.graph.graph import Value
from builder.pt2.emit import Emitter
from builder.pt2.trees import Kind, Tree

_CONSTRUCTORS = {
    Kind.TUPLE: "prim::TupleConstruct",
    Kind.LIST: "prim::ListConstruct",
    Kind.DICT: "prim::DictConstruct",
}


def unpack(emitter: Emitter, value: Value, tree: Tree) -> Iterator[Value]:
    """Yields the leaves of a value with the containers of `tree`, which has types."""
    if tree.kind is Kind.LEAF:
        yield value
        return
    types = [child.type for child in tree.children]
    if tree.kind is Kind.LIST:
        items: Sequence[Value] = emitter.add("prim::ListUnpack", [value], types)
    else:
        operator = "prim::TupleIndex" if tree.kind is Kind.TUPLE else "prim::DictIndex"
        keys = tree.keys or range(len(tree.children))
        items = [
            emitter.add(operator, [value, emitter.as_value(key)], [kind])[0]
            for key, kind in zip(keys, types, strict=True)
        ]
    for item, child in zip(items, tree.children, strict=True):
        yield from unpack(emitter, item, child)


def construct(emitter: Emitter, tree: Tree, leaves: Iterator[Value]) -> Value:
    """Returns a value with the containers of `tree`, which has types."""
    if tree.kind is Kind.LEAF:
        return next(leaves)
    items = [construct(emitter, child, leaves) for child in tree.children]
    if tree.kind is Kind.DICT:
        keys = [emitter.as_value(key) for key in tree.keys]
        # Keys and values come in turn, as `prim::DictConstruct` wants them.
        items = [value for pair in zip(keys, items, strict=True) for value in pair]
    return emitter.construct(_CONSTRUCTORS[tree.kind], items, tree.type)
