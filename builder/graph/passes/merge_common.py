"""Merges nodes that compute the same."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable, Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.effects import is_pure
from builder.graph.graph import CONSTANT, GET_ATTR, SET_ATTR, Block, Graph, Node, Value
from builder.graph.operands import CONSTRUCTS, UNKNOWN, find_call, thaw
from builder.graph.passes.pass_result import PassResult
from builder.lite.objects import CustomObject, Device, List, Tensor


def merge_common(graph: Graph, schemas: Schemas) -> PassResult:
    """Merges equal constants, and pure nodes with the same inputs and attributes.

    A node whose result the model changes in place or hands out stays. So does one that reads
    memory that is written anywhere.

    A reason to leave it out: a merged tensor is kept in memory until its last use.
    """
    merger = _Merger(graph, schemas)
    merger.walk(graph.block, ChainMap())
    return PassResult(merger.merged)


class _Merger:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.merged = 0
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        self._replaced: dict[Value, Value] = {}
        self._sets = any(node.operator == SET_ATTR for _, node in graph.block.walk())

    def walk(self, block: Block, outer: ChainMap[Hashable, Sequence[Value]]) -> None:
        # What an outer block computed before can be used inside, but not the other way around.
        seen = outer.new_child()
        kept = []
        for node in block.nodes:
            node.inputs[:] = [self._replaced.get(value, value) for value in node.inputs]
            for inner in node.blocks:
                self.walk(inner, seen)
            key = self._key(node)
            found = None if key is None else seen.get(key)
            if found is not None:
                self.merged += 1
                self._replaced.update(zip(node.outputs, found, strict=True))
                continue
            if key is not None:
                seen[key] = node.outputs
            kept.append(node)
        block.nodes = kept
        block.outputs[:] = [self._replaced.get(value, value) for value in block.outputs]

    def _key(self, node: Node) -> Hashable | None:
        """Returns what nodes that compute the same have in common; None for one that must stay."""
        if node.operator == CONSTANT:
            key = _constant_key(node.attributes["value"])
            return None if key is None or self._matters(node) else (CONSTANT, key)
        if not is_pure(node, self._schemas) or self._matters(node):
            return None
        if any(self._aliases.is_written(value) for value in node.inputs):
            return None
        if node.operator == GET_ATTR:
            slot = node.attributes["slot"]
            return None if self._sets else (GET_ATTR, node.inputs[0], slot)
        if node.operator in CONSTRUCTS or find_call(node, self._schemas) is None:
            return None
        return (node.operator, *node.inputs)

    def _matters(self, node: Node) -> bool:
        return any(
            self._aliases.is_written(value) or self._aliases.escapes(value)
            for value in node.outputs
        )


def _constant_key(constant: object) -> Hashable | None:
    match constant:
        case Tensor() | CustomObject():
            return id(constant)
        case Device():
            return (Device, constant.name)
        case List():
            found = thaw(constant)
            return None if found is UNKNOWN else (List, constant.type, _key(found))
        case _:
            found = thaw(constant)
            return None if found is UNKNOWN else _key(found)


def _key(found: object) -> Hashable:
    if isinstance(found, list | tuple):
        return (type(found), *map(_key, found))
    if isinstance(found, Tensor | CustomObject):
        return id(found)
    # The text tells -0.0 from 0.0 and 1 from True, and equals itself for nan.
    return (type(found), repr(found))
