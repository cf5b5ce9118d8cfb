"""Drops attributes of modules that no method reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.graph.attributes import find_objects, in_order
from builder.graph.graph import GET_ATTR, SET_ATTR, Node
from builder.graph.passes.pass_result import PassResult
from builder.graph.program import Program
from builder.lite.objects import ScriptObject, walk


def drop_attributes(program: Program) -> PassResult:
    """Drops attributes that no graph reads or sets, and numbers the slots of the others again.

    All objects of a class keep the same attributes. Nothing is dropped when a graph reads an
    attribute of an object whose class is not known.

    A reason to leave it out: an app reads attributes of the module.
    """
    layouts = _find_layouts(program.root)
    accesses = list(_find_accesses(program, layouts))
    if not all(access.name for access in accesses):
        return PassResult(0, ("an attribute is read of an object that is not known",))
    # The root counts as read even if no graph reads it: otherwise none of its attributes would be
    # dropped.
    read: dict[str, set[str]] = {program.root.class_name: set()}
    for access in accesses:
        read.setdefault(access.kind, set()).add(access.name)
    dropped = 0
    for item in walk([program.root]):
        if isinstance(item, ScriptObject) and item.class_name in layouts.keys() & read.keys():
            dropped += _keep(item, read[item.class_name])
    slots = {kind: _number(names, read.get(kind, set())) for kind, names in layouts.items()}
    for access in accesses:
        # Slots are numbers in most files. Where they are names, nothing has to be counted again.
        if isinstance(access.node.attributes["slot"], int):
            access.node.attributes["slot"] = slots[access.kind][access.name]
    return PassResult(dropped)


@dataclass(frozen=True, slots=True)
class _Access:
    node: Node
    kind: str
    """Class of the object; empty if it is not known."""
    name: str
    """Of the attribute; empty if it is not known."""


def _find_accesses(program: Program, layouts: dict[str, tuple[str, ...]]) -> Iterator[_Access]:
    """Yields what reads or sets attributes of objects of the classes in `layouts`."""
    for graph in program.graphs.values():
        objects = find_objects(graph, program.root)
        for node in in_order(graph):
            if node.operator not in (GET_ATTR, SET_ATTR):
                continue
            owner = objects.get(node.inputs[0])
            kind = node.inputs[0].type if owner is None else owner.class_name
            names = layouts.get(kind, ())
            slot = node.attributes["slot"]
            if isinstance(slot, int):
                slot = names[slot] if 0 <= slot < len(names) else ""
            # An object of an unknown class may be one of any class, so that it stops the whole
            # pass.
            if kind in layouts or not kind:
                yield _Access(node, kind, str(slot) if kind else "")


def _find_layouts(root: ScriptObject) -> dict[str, tuple[str, ...]]:
    """Returns class -> attributes in order, for classes all of whose objects have the same.

    Objects that are stored as what `__getstate__` returned show no attributes.
    """
    found: dict[str, set[tuple[str, ...] | None]] = {}
    for item in walk([root]):
        if isinstance(item, ScriptObject):
            names = tuple(item.attributes) if item.state is None else None
            found.setdefault(item.class_name, set()).add(names)
    single = {kind: next(iter(names)) for kind, names in found.items() if len(names) == 1}
    return {kind: names for kind, names in single.items() if names is not None}


def _number(names: tuple[str, ...], kept: set[str]) -> dict[str, int]:
    """Returns the slots of those attributes that stay."""
    return {name: slot for slot, name in enumerate(name for name in names if name in kept)}


def _keep(item: ScriptObject, names: set[str]) -> int:
    """Drops all other attributes; returns how many they were."""
    before = len(item.attributes)
    item.attributes = {name: held for name, held in item.attributes.items() if name in names}
    return before - len(item.attributes)
