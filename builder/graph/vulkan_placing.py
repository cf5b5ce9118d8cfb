"""Decides which operators of a model run on the GPU, and adds the transfers between the devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from builder.core.operator_schemas import Schemas
from builder.core.vulkan import Kernel, VulkanKernels
from builder.graph.aliases import Aliases, find_owner, makes_new_memory
from builder.graph.graph import CONSTANT, GET_ATTR, IF, LOOP, SET_ATTR, Block, Graph, Node, Value
from builder.graph.operands import CALLS, CONSTRUCTS, Call, find_call
from builder.graph.passes.prepack_vulkan import explain_unpacked
from builder.graph.types import type_of
from builder.graph.vulkan_rules import find_obstacle
from builder.lite.objects import Device, List, Tensor

_NONE = Kernel(refused="there is no kernel for it")
TO_GPU = "aten::to.prim_Device"
TO_CPU = "aten::cpu"
_INTEGERS = frozenset({"uint8", "int8", "int16", "int32", "int64"})
_LISTS = frozenset({"aten::__getitem__.t", "aten::append.t", "aten::len.t"})
_HERE = "vulkan_prepack::"
"""Operators that the interpreter finds for tensors on the GPU only."""


class _Place(Enum):
    GPU = "GPU"
    CPU = "CPU"


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


def place_on_vulkan(graph: Graph, schemas: Schemas, kernels: VulkanKernels) -> Placement:
    """Adds transfers to `graph`, so that each operator finds its tensors on the device it runs on.

    A runtime brings the float32 tensors of the inputs to the GPU, and all tensors of the outputs
    back; both are not part of the graph. All other operators run on the CPU, with explicit
    transfers. The caller decides whether a model with such operators is wanted.
    """
    placer = _Placer(graph, schemas, kernels)
    placer.begin()
    placer.walk(graph.block)
    return placer.placement


class _Placer:
    def __init__(self, graph: Graph, schemas: Schemas, kernels: VulkanKernels) -> None:
        self.placement = Placement()
        self._graph = graph
        self._schemas = schemas
        self._kernels = kernels
        self._aliases = Aliases(graph, schemas)
        self._uses = {value: len(users) for value, users in graph.uses().items()}
        self._places: dict[Value, _Place] = {}
        self._items: dict[Value, list[Value]] = {}
        """Tuple -> its items."""
        self._moved: dict[tuple[Value, _Place], Value] = {}
        self._new: list[Node] = []

    def begin(self) -> None:
        """Notes where the inputs are when the graph begins."""
        most = self._kernels.most_dimensions
        for value in self._graph.block.inputs[1:]:
            if value.type and "Tensor" not in value.type:
                continue
            dtype = None if value.info is None else value.info.dtype
            on_gpu = dtype in (None, "float32")
            self._places[value] = _Place.GPU if on_gpu else _Place.CPU
            sizes = None if value.info is None else value.info.sizes
            if on_gpu and sizes is not None and len(sizes) > most:
                reason = f"it has {len(sizes)} dimensions, and tensors on the GPU at most {most}"
                self.placement.impossible[f"input {value.name}", reason] += 1

    def walk(self, block: Block) -> None:
        """Places the nodes of `block`, and rewrites it."""
        outer, self._new = self._new, []
        moved, self._moved = self._moved, dict(self._moved)
        for node in block.nodes:
            self._place(node)
        block.nodes, self._new = self._new, outer
        self._moved = moved

    def _place(self, node: Node) -> None:
        match node.operator:
            case _ if node.operator == CONSTANT:
                self._place_constant(node)
            case _ if node.operator == IF:
                self._place_branches(node)
            case _ if node.operator == LOOP:
                self._place_loop(node)
            case _ if node.operator == GET_ATTR:
                # What a file holds is on the CPU, and stays there.
                self._mark(node.outputs, _Place.CPU)
            case _ if node.operator == SET_ATTR:
                if self._places.get(node.inputs[1]) is _Place.GPU:
                    self.placement.cpu[SET_ATTR, "the module keeps tensors on the CPU"] += 1
                    node.inputs[1] = self._move(node.inputs[1], _Place.CPU)
            case _ if node.operator in CONSTRUCTS - CALLS or node.operator in _LISTS:
                self._place_construct(node)
            case _:
                self._place_call(node)
        self._new.append(node)

    def _place_constant(self, node: Node) -> None:
        held = node.attributes["value"]
        items = held.items if isinstance(held, List) else [held]
        if any(isinstance(item, Tensor) for item in items):
            self._places[node.output] = _Place.CPU

    def _place_branches(self, node: Node) -> None:
        for inner in node.blocks:
            self.walk(inner)
        for index, output in enumerate(node.outputs):
            ends = [inner.outputs[index] for inner in node.blocks]
            places = {self._places.get(end) for end in ends}
            if _Place.GPU in places:
                for inner in node.blocks:
                    self._end(inner, index, _Place.GPU)
                self._places[output] = _Place.GPU
            elif _Place.CPU in places:
                self._places[output] = _Place.CPU

    def _place_loop(self, node: Node) -> None:
        (block,) = node.blocks
        given, inner = node.inputs[2:], block.inputs[1:]
        for value, carried in zip(given, inner, strict=True):
            if (place := self._places.get(value)) is not None:
                self._places[carried] = place
        self.walk(block)
        for index, (value, output) in enumerate(zip(given, node.outputs, strict=True)):
            place = self._places.get(value)
            if place is not None:
                self._end(block, index + 1, place)
                self._places[output] = place
            elif self._places.get(block.outputs[index + 1]) is _Place.GPU:
                self._refuse(LOOP, "a value is a tensor on the GPU after some turns only")

    def _end(self, block: Block, index: int, place: _Place) -> None:
        """Moves what a block yields, if it is on the other device."""
        value = block.outputs[index]
        if self._places.get(value, place) is place:
            return
        if place is _Place.GPU and not self._may_move(value):
            self._refuse(IF, f"it yields {_dtype(value)} tensors and tensors on the GPU")
            return
        outer, self._new = self._new, block.nodes
        block.outputs[index] = self._move(value, place, remember=False)
        self._new = outer

    def _place_construct(self, node: Node) -> None:
        places = {self._places.get(value) for value in node.inputs} - {None}
        match node.operator:
            case "prim::TupleConstruct":
                self._items[node.output] = list(node.inputs)
            case "prim::TupleIndex" if (item := self._find_item(node)) is not None:
                places = {self._places.get(item)} - {None}
            case "prim::TupleUnpack" if node.inputs[0] in self._items:
                items = self._items[node.inputs[0]]
                for output, item in zip(node.outputs, items, strict=False):
                    self._copy_place(item, output)
                return
            case "prim::RaiseException" | "prim::isinstance":
                return
            case _:
                self._gather(node, places)
        if places:
            place = _Place.GPU if _Place.GPU in places else _Place.CPU
            self._mark(node.outputs, place)

    def _gather(self, node: Node, places: Iterable[object]) -> None:
        """Brings the items of a list or dict to the GPU, if one of them is there."""
        if _Place.GPU not in places:
            return
        for index, value in enumerate(node.inputs):
            if self._places.get(value) is _Place.CPU:
                if not self._may_move(value):
                    self._refuse(node.operator, f"it holds {_dtype(value)} tensors too")
                    return
                node.inputs[index] = self._move(value, _Place.GPU)

    def _find_item(self, node: Node) -> Value | None:
        items, index = self._items.get(node.inputs[0]), node.inputs[1]
        number = index.constant if index.is_constant else None
        if items is None or not isinstance(number, int) or not -len(items) <= number < len(items):
            return None
        return items[number]

    def _copy_place(self, source: Value, target: Value) -> None:
        if source in self._places:
            self._places[target] = self._places[source]
        if source in self._items:
            self._items[target] = self._items[source]

    def _place_call(self, node: Node) -> None:
        call = find_call(node, self._schemas)
        here = [value for value in node.inputs if self._places.get(value) is _Place.GPU]
        if node.operator in self._kernels.questions:
            if node.operator == "prim::unchecked_cast":
                self._copy_place(node.inputs[0], node.output)
            return
        if call is None:
            if here:
                self._refuse(node.operator, "the model calls it, and it is not part of the graph")
            return
        if not here and not node.operator.startswith(_HERE):
            self._place_on_cpu(call)
            return
        kernel = self._kernels.find(node.operator) or _NONE
        reason = find_obstacle(call, kernel)
        if reason:
            reason = explain_unpacked(node.operator, call) or reason
        else:
            reason = self._find_misfit(call, kernel)
        if reason:
            self._split(call, reason)
        else:
            self._place_on_gpu(call, kernel)

    def _place_on_cpu(self, call: Call) -> None:
        """Notes a call whose tensors are all on the CPU."""
        given = [value for value in call.node.inputs if value in self._places]
        if not _tensor_results(call):
            return
        self._mark(call.node.outputs, _Place.CPU)
        computed = [value for value in given if not value.is_constant]
        if computed:
            others = sorted({_dtype(value) for value in computed} - {"float32"})
            shown = f"it computes with {' and '.join(others)} tensors"
            reason = shown if others else "its tensors are on the CPU already"
            self.placement.cpu[call.node.operator, reason] += 1

    def _place_on_gpu(self, call: Call, kernel: Kernel) -> None:
        node = call.node
        for index, value in enumerate(node.inputs):
            argument = call.schema.arguments[index]
            if self._places.get(value) is _Place.CPU and argument.name not in kernel.either:
                if argument.mutable and not self._is_alone(value):
                    self._refuse(node.operator, "it changes a tensor on the CPU in place")
                node.inputs[index] = self._move(value, _Place.GPU)
        if self._makes_written_view(call):
            self._refuse(
                node.operator,
                "it makes a view of a tensor that is changed in place later, and on the GPU views "
                "are copies",
            )
        self.placement.gpu[node.operator] += 1
        if _tensor_results(call):
            self._mark(node.outputs, _Place.GPU)

    def _split(self, call: Call, reason: str) -> None:
        """Runs a call on the CPU, with what it takes from the GPU."""
        node = call.node
        if node.operator.startswith(_HERE):
            self._refuse(node.operator, reason)
            return
        self.placement.cpu[node.operator, reason] += 1
        for index, value in enumerate(node.inputs):
            if self._places.get(value) is not _Place.GPU:
                continue
            if call.schema.arguments[index].mutable and not self._is_alone(value):
                self._refuse(
                    node.operator, f"it changes a tensor on the GPU in place, and {reason}"
                )
            moved = self._move_any(value)
            if moved is None:
                self._refuse(node.operator, f"it takes a list from the GPU, and {reason}")
                return
            node.inputs[index] = moved
        if _tensor_results(call):
            self._mark(node.outputs, _Place.CPU)

    def _find_misfit(self, call: Call, kernel: Kernel) -> str:
        """Says which tensor a kernel cannot take or make; an empty text if there is none."""
        for argument, value in zip(call.schema.arguments, call.node.inputs, strict=False):
            if self._places.get(value) is not _Place.CPU:
                continue
            may_stay = argument.name in kernel.either
            if value.type.startswith("List") and not may_stay:
                return f"its argument {argument.name} is a list of tensors on the CPU"
            if not _takes(argument.name if may_stay else "", value):
                return f"its argument {argument.name} has {_dtype(value)} elements"
        most = self._kernels.most_dimensions
        for value in (*call.node.inputs, *call.node.outputs):
            sizes = None if value.info is None else value.info.sizes
            if sizes is not None and len(sizes) > most:
                return f"a tensor of {len(sizes)} dimensions"
        return ""

    def _makes_written_view(self, call: Call) -> bool:
        """Whether a call makes a view, and something writes into its memory later."""
        if not call.schema.is_pure or makes_new_memory(call):
            return False
        return any(self._aliases.is_written_after(one, call.node) for one in call.node.outputs)

    def _move_any(self, value: Value) -> Value | None:
        """Returns a tensor or a list of tensors on the CPU; None for a list that others hold."""
        if not value.type.startswith("List"):
            return self._move(value, _Place.CPU)
        producer = value.producer
        if producer is None or producer.operator != "prim::ListConstruct":
            return None
        if self._aliases.is_written(value):
            return None
        items = [
            self._move(item, _Place.CPU) if self._places.get(item) is _Place.GPU else item
            for item in producer.inputs
        ]
        made = Value(value.type)
        attributes = dict(producer.attributes)
        self._new.append(Node("prim::ListConstruct", items, [made], attributes))
        self._places[made] = _Place.CPU
        return made

    def _is_alone(self, value: Value) -> bool:
        """Whether nothing else can see a tensor that is changed in place."""
        return find_owner(value, self._schemas) is not None and self._uses.get(value, 0) == 1

    def _may_move(self, value: Value) -> bool:
        """Whether a tensor can be brought to the GPU, so far as is known."""
        info = value.info
        if info is None:
            return True
        most = self._kernels.most_dimensions
        fits = info.sizes is None or len(info.sizes) <= most
        return fits and info.dtype in (None, "float32") and not value.type.startswith("List")

    def _move(self, value: Value, place: _Place, *, remember: bool = True) -> Value:
        """Returns the tensor on the other device, by a transfer if there was none before."""
        # A tensor that is changed in place is another one each time.
        remember = remember and not self._aliases.is_written(value)
        if remember and (value, place) in self._moved:
            return self._moved[value, place]
        given = [value]
        if place is _Place.GPU:
            given += map(self._constant, (Device("vulkan"), None, False, False))
        moved = Value("Tensor", value.info)
        self._new.append(Node(TO_GPU if place is _Place.GPU else TO_CPU, given, [moved]))
        self.placement.transfers += 1
        self._places[moved] = place
        if remember:
            self._moved[value, place] = moved
        return moved

    def _constant(self, held: object) -> Value:
        value = Value(type_of(held))
        self._new.append(Node(CONSTANT, [], [value], {"value": held}))
        return value

    def _mark(self, values: Iterable[Value], place: _Place) -> None:
        for value in values:
            if not value.type or "Tensor" in value.type:
                self._places[value] = place

    def _refuse(self, what: str, reason: str) -> None:
        self.placement.impossible[what, reason] += 1


def _takes(name: str, value: Value) -> bool:
    """Whether kernels take a tensor from the CPU, as the argument `name` that may be there."""
    dtype = None if value.info is None else value.info.dtype
    if dtype is None:
        return True
    if name == "mask":
        return dtype == "bool"
    if name == "other" and value.info is not None:
        # They are made float32 on the CPU (BinaryOp.cpp, binary_op_preprocess_other_arg).
        return dtype in _INTEGERS | {"float32"} or (dtype == "float64" and value.info.sizes == ())
    return dtype == "float32"


def _tensor_results(call: Call) -> bool:
    return any("Tensor" in result for result in call.schema.results)


def _dtype(value: Value) -> str:
    dtype = None if value.info is None else value.info.dtype
    return dtype or "float32"
