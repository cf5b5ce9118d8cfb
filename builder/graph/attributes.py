"""The objects whose attributes a graph reads and sets, and the memory in them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from builder.graph.graph import GET_ATTR, Graph, Node, Value
from builder.lite.objects import PLAIN, Dict, List, ScriptObject, Storage, Tensor


def find_objects(graph: Graph, root: ScriptObject) -> dict[Value, ScriptObject]:
    """Returns the modules that values stand for: `self` in methods of `root`, and what it holds."""
    found: dict[Value, ScriptObject] = {}
    # Methods of other classes may be called on any object, so their `self` is not known.
    if graph.block.inputs and graph.name.rpartition(".")[0] == root.class_name:
        found[graph.block.inputs[0]] = root
    for node in in_order(graph):
        if node.operator != GET_ATTR or node.inputs[0] not in found:
            continue
        held = found[node.inputs[0]].attributes.get(slot_name(node, found[node.inputs[0]]))
        if isinstance(held, ScriptObject):
            found[node.output] = held
    return found


def slot_name(node: Node, owner: ScriptObject) -> str:
    """Returns the name of the attribute that `node` reads or sets; empty if there is none."""
    slot = node.attributes["slot"]
    return owner.slot_name(slot) if isinstance(slot, int) else str(slot)


def in_order(graph: Graph) -> Iterator[Node]:
    """Yields all nodes, each after those that make its inputs."""
    waiting = [iter(graph.block.nodes)]
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
            continue
        yield node
        # The blocks come before the node behind their owner, which may use what they yield.
        waiting.extend(iter(block.nodes) for block in node.blocks)


def items_of(held: object) -> Iterator[object]:
    """Yields `held` and what is inside of it once, apart from plain values and from attributes."""
    waiting = [held]
    # A list can contain itself in a damaged file.
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        match item:
            case (tuple() as parts) | List(items=parts):
                waiting.extend(part for part in parts if type(part) not in PLAIN)
            case Dict():
                inside = chain.from_iterable(item.items)
                waiting.extend(part for part in inside if type(part) not in PLAIN)


def find_memory(held: object) -> set[Storage | List | Dict]:
    """Returns what code can write into: the storages of tensors, lists and dicts in `held`."""
    return {
        item.storage if isinstance(item, Tensor) else item
        for item in items_of(held)
        if isinstance(item, Tensor | List | Dict)
    }
