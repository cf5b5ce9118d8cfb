"""Where the tensors of a graph are while it runs, and how they get to the other device."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from builder.core.operator_schemas import Schemas
from builder.graph.attributes import items_of
from builder.graph.graph import CONSTANT, Block, Graph, Node, Value
from builder.graph.operands import Call, find_call
from builder.graph.types import item_type, type_of
from builder.graph.vulkan_copies import Copies, writes
from builder.graph.vulkan_rules import describe_elements
from builder.lite.objects import Device, Tensor

TO_GPU = "aten::to.prim_Device"
TO_CPU = "aten::cpu"
_CONTAINERS = frozenset({"Dict", "List", "Optional", "Tuple"})
_WITHOUT_TENSORS = _CONTAINERS | {
    *("Device", "None", "NoneType", "bool", "complex", "float", "int", "number", "str"),
}
"""Words of the types of values that hold no tensors."""
_EMPTY = frozenset({"prim::DictConstruct", "prim::ListConstruct", "prim::Enter", "prim::Exit"})
"""Constructs whose results may hold no tensors yet."""
_TOLD_APART = "it would take a copy on the other device of a tensor that is changed in place"


class Place(Enum):
    """Where the tensors in a value are."""

    GPU = "GPU"
    CPU = "CPU"
    BOTH = "both"
    """Of a tuple whose items are known."""


@dataclass(slots=True, kw_only=True)
class Placement:
    """Where the operators of one graph run."""

    gpu: Counter[str] = field(default_factory=Counter)
    """Operator that runs on the GPU -> how often."""
    cpu: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Operator that runs on the CPU, and the reason -> how often."""
    impossible: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What no transfer helps, and the reason -> how often."""
    transfers: int = 0
    """Tensors that the graph itself brings to the other device."""

    def refuse(self, what: str, reason: str) -> None:
        """Notes that the model cannot run on Vulkan."""
        self.impossible[what, reason] += 1


class Devices:
    """The places of values, in the order in which a walk over the graph finds them.

    Only what is known to be a tensor is transferred, and only if no write shows that the other
    device has a copy (see `Copies`). All tensors in a list or dict are on one device; if the model
    changes it, this holds for all lists and dicts that may share memory with it.
    """

    def __init__(self, graph: Graph, schemas: Schemas, most_dimensions: int) -> None:
        self.placement = Placement()
        self.copies = Copies(graph, schemas)
        self.new: list[Node] = []
        """The nodes of the block that the walk is in, up to the one that it looks at."""
        self.moved: dict[tuple[Value, Place], Value] = {}
        """Tensor and device -> its copy there, as far as the block that the walk is in can see."""
        self._schemas = schemas
        self._most_dimensions = most_dimensions
        self._places: dict[Value, Place] = {}
        self._held: dict[object, Place] = {}
        """Memory that is changed -> where the tensors in its lists and dicts are."""
        self._holding: dict[int | str, bool] = {}
        """`id` of a constant, or a type -> whether there may be tensors in it."""

    def may_hold(self, value: Value) -> bool:
        """Whether there may be a tensor in a value."""
        # Many nodes can hold one large constant.
        key = id(value.constant) if value.is_constant else value.type
        if key not in self._holding:
            self._holding[key] = _may_hold(value)
        return self._holding[key]

    def may_contain(self, value: Value) -> bool:
        """Whether a value may be a list, dict or tuple of tensors."""
        return value.type != "Tensor" and self.may_hold(value)

    def find(self, value: Value) -> Place | None:
        """Returns where the tensors in a value are; None if there are none so far."""
        place = self._places.get(value)
        if place is None and self.may_contain(value):
            place = self._held.get(self.copies.memory(value))
        return place

    def mark(self, what: str, values: Iterable[Value], place: Place) -> None:
        """Notes where the tensors in values of the node `what` are."""
        for value in filter(self.may_hold, values):
            self._places[value] = place
            if not self.may_contain(value) or not self.copies.is_written(value):
                continue
            # What is put into a list is read by each of its names, which may stand anywhere.
            if self._held.setdefault(self.copies.memory(value), place) is not place:
                reason = "a list or dict that is changed holds tensors of both devices"
                self.placement.refuse(what, reason)

    def note(self, value: Value, place: Place | None) -> None:
        """Notes where the tensors in a tuple, or in an item of one, are."""
        if place is not None:
            self._places[value] = place

    def gather(self, node: Node) -> None:
        """Brings all tensors that go into a list or dict, or come out of it, to one device."""
        place = self._find_common(node)
        for index, value in enumerate(node.inputs):
            if place is not None and self.find(value) not in (None, place):
                self.bring(node, index, place)
        if place is None and (node.operator in _EMPTY or not any(map(self.may_hold, node.outputs))):
            return
        # Items that are read before the model adds some are taken for tensors on the CPU.
        changed = [*filter(self.may_contain, node.inputs), *node.outputs]
        self.mark(node.operator, changed, place or Place.CPU)

    def _find_common(self, node: Node) -> Place | None:
        """Returns where the tensors of a list or dict are, or None if there is no tensor in it."""
        found = [self.find(value) for value in node.inputs if self.may_contain(value)]
        found += [self.find(value) for value in node.outputs]
        fixed = next((place for place in found if place is not None), None)
        places = {self.find(value) for value in node.inputs} - {None}
        return fixed or (Place.GPU if Place.GPU in places else next(iter(places), None))

    def bring_argument(self, call: Call, index: int, place: Place, why: str = "") -> None:
        """Brings an argument to the device on which the call runs, or refuses the model."""
        node, value = call.node, call.node.inputs[index]
        declared, alone = "", False
        if index < len(call.schema.arguments):
            declared = call.schema.arguments[index].type
            alone = writes(call, index) and self.copies.is_alone(value, node)
            if writes(call, index) and not alone:
                other = "GPU" if place is Place.CPU else "CPU"
                reason = f"it changes a tensor on the {other} in place{why}"
                self.placement.refuse(node.operator, reason)
                return
        if declared != "Tensor" and self.may_contain(value):
            self._rebuild(node, index, place, why)
        else:
            self.bring(node, index, place, declared=declared, alone=alone)

    def _rebuild(self, node: Node, index: int, place: Place, why: str) -> None:
        """Makes a list of the same tensors on the other device."""
        value = node.inputs[index]
        producer = value.producer
        known = producer is not None and producer.operator == "prim::ListConstruct"
        if producer is None or not known or self.copies.is_written(value):
            other = "GPU" if place is Place.CPU else "CPU"
            self.placement.refuse(node.operator, f"it takes a list or dict from the {other}{why}")
            return
        made = Value(value.type)
        copy = Node("prim::ListConstruct", list(producer.inputs), [made], dict(producer.attributes))
        for number, item in enumerate(copy.inputs):
            if self.find(item) not in (None, place):
                self.bring(copy, number, place, declared=item_type(value.type), at=node)
        self.new.append(copy)
        self._places[made] = place
        node.inputs[index] = made

    def bring(
        self,
        node: Node,
        index: int,
        place: Place,
        *,
        declared: str = "",
        alone: bool = False,
        at: Node | None = None,
    ) -> None:
        """Brings an input of `node` to a device, or refuses the model.

        Args:
            node: what takes the input.
            index: which input.
            place: the device.
            declared: the type that the input has if the model runs at all.
            alone: whether nothing else can see the tensor from now on.
            at: the node of the model that `node` belongs to, if it is not one itself.
        """
        value, at = node.inputs[index], at or node
        reason = self._find_bar(value, place, declared)
        if not reason and not alone and self.copies.is_told_apart(value, at):
            reason = _TOLD_APART
        if reason:
            self.placement.refuse(at.operator, reason)
        else:
            node.inputs[index] = self._move(value, place)

    def end(self, owner: Node, block: Block, index: int, place: Place, last: Node) -> None:
        """Brings what a block yields to a device, or refuses the model.

        Args:
            owner: the branch or loop.
            block: a block of it, which the walk has left.
            index: of the output.
            place: the device.
            last: the last node of the block as it was.
        """
        value = block.outputs[index]
        if self.find(value) in (None, place):
            return
        reason = self._find_bar(value, place, "")
        if not reason and self.copies.is_told_apart(value, last):
            reason = _TOLD_APART
        if reason:
            self.placement.refuse(owner.operator, f"it yields tensors of both devices: {reason}")
            return
        outer, self.new = self.new, block.nodes
        block.outputs[index] = self._move(value, place, remember=False)
        self.new = outer

    def _find_bar(self, value: Value, place: Place, declared: str) -> str:
        """Says why a value cannot be on a device; an empty text if it can."""
        if declared != "Tensor" and not self._is_tensor(value):
            kind = value.type or "of an unknown type"
            return f"only tensors are brought to the {place.value}, and a value is {kind}"
        if place is Place.GPU and not self._fits(value):
            return f"a tensor with {describe_elements(value)} cannot be brought to the GPU"
        return ""

    def _is_tensor(self, value: Value) -> bool:
        """Whether a value is known to be one tensor, and not None or a list."""
        if value.type or value.producer is None:
            return value.type == "Tensor"
        call = find_call(value.producer, self._schemas)
        return call is not None and call.schema.results == ("Tensor",)

    def _fits(self, value: Value) -> bool:
        """Whether a tensor can be on the GPU; its number of dimensions need not be known."""
        info = value.info
        if info is None or info.dtype != "float32":
            return False
        return info.sizes is None or len(info.sizes) <= self._most_dimensions

    def _move(self, value: Value, place: Place, *, remember: bool = True) -> Value:
        """Returns the tensor on the other device, by a transfer if there was none before."""
        # A tensor that is changed in place is another one each time.
        remember = remember and not self.copies.is_written(value)
        if remember and (value, place) in self.moved:
            return self.moved[value, place]
        given = [value]
        if place is Place.GPU:
            given += map(self._constant, (Device("vulkan"), None, False, False))
        moved = Value("Tensor", value.info)
        self.new.append(Node(TO_GPU if place is Place.GPU else TO_CPU, given, [moved]))
        self.placement.transfers += 1
        self._places[moved] = place
        if remember:
            self.moved[value, place] = moved
        return moved

    def _constant(self, held: object) -> Value:
        value = Value(type_of(held))
        self.new.append(Node(CONSTANT, [], [value], {"value": held}))
        return value


def _may_hold(value: Value) -> bool:
    if value.is_constant:
        return any(isinstance(item, Tensor) for item in items_of(value.constant))
    return not value.type or not _WITHOUT_TENSORS.issuperset(re.findall(r"[\w.]+", value.type))
