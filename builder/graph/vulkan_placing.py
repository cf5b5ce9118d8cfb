"""Decides which operators of a model run on the GPU, and adds the transfers between the devices."""

from __future__ import annotations

import re

from builder.core.operator_schemas import Schema, Schemas
from builder.core.vulkan import Kernel, VulkanKernels
from builder.graph.graph import (
    CONSTANT,
    GET_ATTR,
    IF,
    LOOP,
    SET_ATTR,
    Block,
    Graph,
    Node,
    TensorInfo,
    Value,
)
from builder.graph.operands import CALLS, CONSTRUCTS, Call, find_call
from builder.graph.passes.prepack_vulkan import explain_unpacked
from builder.graph.shapes import infer, merge_infos
from builder.graph.vulkan_devices import Devices, Place, Placement
from builder.graph.vulkan_rules import find_misfit, find_obstacle
from builder.lite.objects import Device

_NONE = Kernel(refused="there is no kernel for it")
_HERE = "vulkan_prepack::"
"""Operators that the interpreter finds for tensors on the GPU only."""
_LOADING = frozenset({"__getstate__", "__setstate__"})
"""Methods that a runtime calls when it loads a model; their arguments are what a file holds."""
_SAME = frozenset({"aten::__is__", "aten::__isnot__"})
_GENERIC = re.compile(r"\b(t|tVal)\b", re.ASCII)
_TUPLE_OF_BOTH = "it takes a tuple with tensors of both devices"


def place_on_vulkan(graph: Graph, schemas: Schemas, kernels: VulkanKernels) -> Placement:
    """Adds transfers to `graph`, so that each operator finds its tensors on the device it runs on.

    A runtime brings the float32 tensors of the inputs to the GPU, and all tensors of the outputs
    back; both are not part of the graph. All other operators run on the CPU, with explicit
    transfers. The caller decides whether a model with such operators is wanted.

    Only values that are known to be tensors are transferred, and only if no write shows that the
    other device has a copy (see `Copies`). All tensors in a list or a dict are on one device.
    """
    return _Placer(graph, schemas, kernels).run()


class _Placer:
    def __init__(self, graph: Graph, schemas: Schemas, kernels: VulkanKernels) -> None:
        self._graph = graph
        self._schemas = schemas
        self._kernels = kernels
        self._devices = Devices(graph, schemas, kernels.most_dimensions)
        self._placement = self._devices.placement
        self._loads = graph.name.rpartition(".")[2] in _LOADING
        self._items: dict[Value, list[Value]] = {}
        """Tuple -> its items."""

    def run(self) -> Placement:
        """Places the whole graph."""
        self._note_layers()
        self._begin()
        self._walk(self._graph.block)
        if self._loads:
            # All of it is meant to run on the CPU.
            self._placement.cpu.clear()
        return self._placement

    def _note_layers(self) -> None:
        """Notes what packed layers tell: with float32 weights, they take and make nothing else."""
        for _, node in self._graph.block.walk():
            if node.operator.startswith(_HERE):
                for value in (*node.inputs[:1], *node.outputs):
                    value.info = merge_infos(TensorInfo("float32"), value.info)
        infer(self._graph, self._schemas)

    def _begin(self) -> None:
        """Notes where the inputs are when the graph begins."""
        most = self._kernels.most_dimensions
        for value in self._graph.block.inputs[1:]:
            if value.type and "Tensor" not in value.type:
                continue
            dtype = None if value.info is None else value.info.dtype
            on_gpu = dtype in (None, "float32") and not self._loads
            self._devices.mark(f"input {value.name}", [value], Place.GPU if on_gpu else Place.CPU)
            sizes = None if value.info is None else value.info.sizes
            if on_gpu and sizes is not None and len(sizes) > most:
                reason = f"it has {len(sizes)} dimensions, and tensors on the GPU at most {most}"
                self._placement.refuse(f"input {value.name}", reason)

    def _walk(self, block: Block) -> None:
        """Places the nodes of `block`, and rewrites it."""
        outer, self._devices.new = self._devices.new, []
        moved, self._devices.moved = self._devices.moved, dict(self._devices.moved)
        for node in block.nodes:
            self._place(node)
        block.nodes, self._devices.new = self._devices.new, outer
        self._devices.moved = moved

    def _place(self, node: Node) -> None:
        match node.operator:
            case _ if node.operator == CONSTANT:
                self._devices.mark(CONSTANT, node.outputs, Place.CPU)
            case _ if node.operator == IF:
                self._place_branches(node)
            case _ if node.operator == LOOP:
                self._place_loop(node)
            case _ if node.operator == GET_ATTR:
                # What a file holds is on the CPU, and stays there.
                self._devices.mark(GET_ATTR, node.outputs, Place.CPU)
            case _ if node.operator == SET_ATTR:
                self._place_attribute(node)
            case "prim::TupleConstruct" | "prim::TupleIndex" | "prim::TupleUnpack":
                self._place_tuple(node)
            case "prim::RaiseException" | "prim::isinstance" | "prim::Uninitialized":
                pass
            case _ if any(self._devices.find(value) is Place.BOTH for value in node.inputs):
                self._placement.refuse(node.operator, _TUPLE_OF_BOTH)
            case _ if node.operator in CONSTRUCTS - CALLS:
                self._devices.gather(node)
            case _:
                self._place_call(node)
        self._devices.new.append(node)

    def _place_attribute(self, node: Node) -> None:
        if self._devices.find(node.inputs[1]) not in (None, Place.CPU):
            self._placement.cpu[SET_ATTR, "the module keeps tensors on the CPU"] += 1
            self._devices.bring(node, 1, Place.CPU)

    def _place_branches(self, node: Node) -> None:
        lasts = [inner.nodes[-1] if inner.nodes else node for inner in node.blocks]
        for inner in node.blocks:
            self._walk(inner)
        for index, output in enumerate(node.outputs):
            ends = [inner.outputs[index] for inner in node.blocks]
            places = {self._devices.find(end) for end in ends} - {None}
            if not places:
                continue
            place = Place.CPU if places == {Place.CPU} else Place.GPU
            for inner, last in zip(node.blocks, lasts, strict=True):
                self._devices.end(node, inner, index, place, last)
            self._devices.mark(IF, [output], place)

    def _place_loop(self, node: Node) -> None:
        (block,) = node.blocks
        given, inner = node.inputs[2:], block.inputs[1:]
        last = block.nodes[-1] if block.nodes else node
        for value, carried in zip(given, inner, strict=True):
            place = self._devices.find(value)
            if place is Place.BOTH:
                self._placement.refuse(LOOP, _TUPLE_OF_BOTH)
            if place is not None:
                self._devices.mark(LOOP, [carried], place)
        self._walk(block)
        for index, (value, output) in enumerate(zip(given, node.outputs, strict=True), 1):
            place, end = self._devices.find(value), self._devices.find(block.outputs[index])
            if place is not None:
                self._devices.end(node, block, index, place, last)
            elif end not in (None, Place.CPU):
                self._placement.refuse(LOOP, "a value is a tensor on the GPU after some turns only")
            place = place or end
            if place is not None:
                self._devices.mark(LOOP, [output], place)

    def _place_tuple(self, node: Node) -> None:
        if node.operator == "prim::TupleConstruct":
            self._items[node.output] = list(node.inputs)
            places = {self._devices.find(value) for value in node.inputs} - {None}
            one = next(iter(places)) if len(places) == 1 else Place.BOTH
            self._devices.note(node.output, one if places else None)
            return
        items = self._items.get(node.inputs[0])
        if node.operator == "prim::TupleIndex":
            item = self._find_item(node)
            items = None if item is None else [item]
        if items is not None:
            for output, item in zip(node.outputs, items, strict=False):
                self._copy_place(item, output)
            return
        place = self._devices.find(node.inputs[0])
        if place is Place.BOTH:
            self._placement.refuse(node.operator, _TUPLE_OF_BOTH)
        self._devices.mark(node.operator, node.outputs, place or Place.CPU)

    def _find_item(self, node: Node) -> Value | None:
        items, index = self._items.get(node.inputs[0]), node.inputs[1]
        number = index.constant if index.is_constant else None
        if items is None or not isinstance(number, int) or not -len(items) <= number < len(items):
            return None
        return items[number]

    def _copy_place(self, source: Value, target: Value) -> None:
        self._devices.note(target, self._devices.find(source))
        if source in self._items:
            self._items[target] = self._items[source]

    def _place_call(self, node: Node) -> None:
        call = find_call(node, self._schemas)
        here = [value for value in node.inputs if self._devices.find(value) is Place.GPU]
        if node.operator in self._kernels.questions:
            self._place_question(node)
        elif call is None:
            if here or node.operator in CALLS:
                self._placement.refuse(
                    node.operator, "the model calls it, and it is not part of the graph"
                )
            self._devices.mark(node.operator, node.outputs, Place.CPU)
        elif _is_generic(call.schema):
            self._devices.gather(node)
        elif not here and not node.operator.startswith(_HERE):
            self._place_on_cpu(call)
        else:
            self._place_kernel(call)

    def _place_question(self, node: Node) -> None:
        if node.operator == "prim::device":
            # In the model as it was, all tensors are on the CPU.
            node.operator, node.inputs = CONSTANT, []
            node.attributes = {"value": Device("cpu")}
        elif node.operator in _SAME and all(map(self._devices.may_hold, node.inputs)):
            self._placement.refuse(
                node.operator, "it asks whether two values are one, and copies are not"
            )

    def _place_kernel(self, call: Call) -> None:
        node = call.node
        kernel = self._kernels.find(node.operator) or _NONE
        reason = find_obstacle(call, kernel)
        if reason:
            reason = explain_unpacked(node.operator, call) or reason
        else:
            on_gpu = {value for value in node.inputs if self._devices.find(value) is Place.GPU}
            reason = find_misfit(call, kernel, on_gpu, self._kernels.most_dimensions)
        if reason:
            self._split(call, reason)
        else:
            self._place_on_gpu(call, kernel)

    def _place_on_cpu(self, call: Call) -> None:
        """Notes a call whose tensors are all on the CPU."""
        node = call.node
        computed = [
            value for value in node.inputs if self._devices.find(value) and not value.is_constant
        ]
        self._devices.mark(node.operator, node.outputs, Place.CPU)
        if computed:
            self._check_strides(call)
        if computed and _tensor_results(call):
            others = sorted({_dtype(value) for value in computed} - {"float32"})
            shown = f"it computes with {' and '.join(others)} tensors"
            reason = shown if others else "its tensors are on the CPU already"
            self._placement.cpu[node.operator, reason] += 1

    def _check_strides(self, call: Call) -> None:
        if self._devices.copies.depends_on_strides(call):
            self._placement.refuse(
                call.node.operator,
                "it depends on strides, and tensors that were on the GPU have others",
            )

    def _place_on_gpu(self, call: Call, kernel: Kernel) -> None:
        node = call.node
        for index, argument in enumerate(call.schema.arguments[: len(node.inputs)]):
            value = node.inputs[index]
            if "Tensor" not in argument.type or argument.name in kernel.either:
                continue
            if self._devices.find(value) is not Place.GPU and self._devices.may_hold(value):
                self._devices.bring_argument(call, index, Place.GPU)
        if self._devices.copies.makes_written_view(call):
            self._placement.refuse(
                node.operator,
                "it makes a view of a tensor that is changed in place later, and on the GPU views "
                "are copies",
            )
        self._placement.gpu[node.operator] += 1
        self._devices.mark(node.operator, node.outputs, Place.GPU)

    def _split(self, call: Call, reason: str) -> None:
        """Runs a call on the CPU, with what it takes from the GPU."""
        node = call.node
        if node.operator.startswith(_HERE):
            self._placement.refuse(node.operator, reason)
            return
        self._placement.cpu[node.operator, reason] += 1
        self._check_strides(call)
        for index, value in enumerate(node.inputs):
            if self._devices.find(value) is Place.GPU:
                self._devices.bring_argument(call, index, Place.CPU, f", and {reason}")
        self._devices.mark(node.operator, node.outputs, Place.CPU)


def _tensor_results(call: Call) -> bool:
    return any("Tensor" in result for result in call.schema.results)


def _is_generic(schema: Schema) -> bool:
    """Whether an operator works on lists or dicts, whatever their items are."""
    kinds = [*(argument.type for argument in schema.arguments), *schema.results]
    return not any("Tensor" in kind for kind in kinds) and any(map(_GENERIC.search, kinds))


def _dtype(value: Value) -> str:
    return (None if value.info is None else value.info.dtype) or "float32"
