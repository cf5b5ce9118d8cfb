"""What is known about the attributes that a function reads: their names, types and values."""

from __future__ import annotations

from dataclasses import dataclass, field

from builder.graph.graph import Node, Value
from builder.graph.types import info_of, type_of
from builder.lite.model import LiteModel
from builder.lite.objects import ScriptObject, walk


@dataclass(slots=True, kw_only=True)
class Members:
    """The objects of a model, for describing `prim::GetAttr`."""

    root: ScriptObject
    classes: dict[str, ScriptObject]
    """An object of each class: objects of one class have the same slots."""
    changed: frozenset[int]
    """The numbers of all slots that methods set, of whichever object."""
    objects: dict[Value, ScriptObject] = field(default_factory=dict)
    """The objects that values stand for, as far as this is known."""

    @classmethod
    def of(cls, model: LiteModel) -> Members:
        """Returns what the objects of `model` tell."""
        return cls(
            root=model.root,
            classes=_find_classes(model.root),
            changed=frozenset(
                step.x
                for function in model.functions
                for step in function.instructions
                if step.opcode == "SET_ATTR"
            ),
        )

    def describe(self, node: Node) -> None:
        """Sets type and name of the output of a `prim::GetAttr`, as far as they are known."""
        (owner,), output = node.inputs, node.output
        slot = node.attributes["slot"]
        exact = self.objects.get(owner)
        # An object that is not known still has the slots of its class.
        example = exact or self.classes.get(owner.type)
        if example is None or not isinstance(slot, int):
            return
        name = example.slot_name(slot)
        if name not in example.attributes:
            return
        output.name = name
        value = example.attributes[name]
        # No method can set an attribute that is a module, but any other.
        if isinstance(value, ScriptObject) or slot not in self.changed:
            output.type = type_of(value)
        if exact is not None and isinstance(value, ScriptObject):
            self.objects[output] = value
        if exact is not None and slot not in self.changed:
            output.info = info_of(value)


def _find_classes(root: ScriptObject) -> dict[str, ScriptObject]:
    """Returns an object of each class that `root` holds, at any depth."""
    found: dict[str, ScriptObject] = {}
    for value in walk([root]):
        if isinstance(value, ScriptObject):
            found.setdefault(value.class_name, value)
    return found
