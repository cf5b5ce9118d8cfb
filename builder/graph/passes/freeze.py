"""Makes constants of the attributes that no method writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.attributes import find_memory, find_objects, in_order, items_of, slot_name
from builder.graph.graph import CONSTANT, GET_ATTR, SET_ATTR, Graph
from builder.graph.passes.pass_result import PassResult, describe
from builder.graph.program import Program
from builder.lite.objects import CustomObject, Dict, List, ScriptObject, Tensor

_TRAINING = "training"


def freeze(program: Program, schemas: Schemas) -> PassResult:
    """Replaces reads of attributes by constants.

    Attributes that a method sets, and tensors, lists and dicts that a method may write into, stay.
    `training` is False in all modules from here on. Tensors lose `requires_grad`.

    A reason to leave it out: an app reads attributes of the module, or trains it further.
    """
    evaluated = _leave_training(program.root)
    written = _find_written(program, schemas)
    reasons: Counter[str] = Counter()
    # A tensor that two graphs read stays one constant, so that its bytes stand in the file once.
    constants: dict[Tensor, Tensor] = {}
    # A class with methods cannot be an Enum, so its objects stay attributes.
    classes = {name.rpartition(".")[0] for name in program.graphs}
    changed = sum(
        _freeze_graph(graph, program.root, written, constants, reasons, classes)
        for graph in program.graphs.values()
    )
    notes = describe(reasons)
    if evaluated:
        notes += ("the model was saved in training mode; it is evaluated from now on",)
    return PassResult(changed, notes)


class _Written:
    """What methods of the program may write."""

    def __init__(self) -> None:
        self.slots: set[tuple[ScriptObject, str]] = set()
        self.classes: set[tuple[str, object]] = set()
        """Class and slot of objects that are not known; the class is empty if it is not known."""
        self.memory: set[object] = set()
        """Storages, lists and dicts."""
        self._refusals: dict[tuple[ScriptObject, object, str], str | None] = {}

    def refuses(self, owner: ScriptObject, slot: object, name: str) -> str | None:
        """Returns why an attribute cannot be a constant; None if it can."""
        # A model can read one large list again and again.
        key = (owner, slot, name)
        if key not in self._refusals:
            self._refusals[key] = self._find_refusal(owner, slot, name)
        return self._refusals[key]

    def _find_refusal(self, owner: ScriptObject, slot: object, name: str) -> str | None:
        # A write may be known by number or by name, and by class or not at all: any match is
        # enough.
        kinds = {(kind, key) for kind in ("", owner.class_name) for key in (slot, name)}
        if (owner, name) in self.slots or not self.classes.isdisjoint(kinds):
            return f"the model sets its attribute {name!r}"
        found = owner.attributes[name]
        if not self.memory.isdisjoint(find_memory(found)):
            return f"the model changes its attribute {name!r} in place"
        if isinstance(found, tuple | List | Dict) and not _is_plain(found):
            return f"the attribute {name!r} holds objects"
        return None


def _leave_training(root: ScriptObject) -> bool:
    changed = False
    seen: set[ScriptObject] = set()
    waiting: list[object] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ScriptObject) and item not in seen:
            seen.add(item)
            if item.attributes.get(_TRAINING) is True:
                item.attributes[_TRAINING] = False
                changed = True
            waiting.extend(item.attributes.values())
        elif isinstance(item, tuple | List | Dict):
            waiting.extend(inner for inner in items_of(item) if isinstance(inner, ScriptObject))
    return changed


def _find_written(program: Program, schemas: Schemas) -> _Written:
    written = _Written()
    changed: set[tuple[ScriptObject, str]] = set()
    for graph in program.graphs.values():
        objects = find_objects(graph, program.root)
        aliases = Aliases(graph, schemas, objects)
        for node in in_order(graph):
            if node.operator == SET_ATTR:
                owner = objects.get(node.inputs[0])
                if owner is None:
                    written.classes.add((node.inputs[0].type, node.attributes["slot"]))
                else:
                    written.slots.add((owner, slot_name(node, owner)))
            elif node.operator == GET_ATTR and aliases.is_written(node.output):
                owner = objects.get(node.inputs[0])
                if owner is not None:
                    changed.add((owner, slot_name(node, owner)))
    # Memory counts and not the attribute, since another attribute may be a view of it.
    for owner, name in changed:
        written.memory.update(find_memory(owner.attributes.get(name)))
    return written


def _freeze_graph(
    graph: Graph,
    root: ScriptObject,
    written: _Written,
    constants: dict[Tensor, Tensor],
    reasons: Counter[str],
    classes: Collection[str],
) -> int:
    objects = find_objects(graph, root)
    changed = 0
    for node in in_order(graph):
        if node.operator != GET_ATTR or node.inputs[0] not in objects:
            continue
        owner = objects[node.inputs[0]]
        name = slot_name(node, owner)
        if name not in owner.attributes or _is_object(owner.attributes[name], classes):
            continue
        reason = written.refuses(owner, node.attributes["slot"], name)
        if reason is not None:
            reasons[reason] += 1
            continue
        held = owner.attributes[name]
        if isinstance(held, Tensor):
            held = constants.setdefault(held, _without_gradient(held))
        node.operator = CONSTANT
        node.inputs.clear()
        node.attributes = {"value": held}
        changed += 1
    return changed


def _is_object(held: object, classes: Collection[str]) -> bool:
    """Whether it is a module or an object with methods, and not a member of an Enum."""
    if not isinstance(held, ScriptObject):
        return False
    return not held.may_be_enum or held.class_name in classes


def _without_gradient(tensor: Tensor) -> Tensor:
    return replace(tensor, requires_grad=False) if tensor.requires_grad else tensor


def _is_plain(held: object) -> bool:
    return not any(isinstance(item, ScriptObject | CustomObject) for item in items_of(held))
