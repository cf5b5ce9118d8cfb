"""Keeps images as NHWC between operators of XNNPACK."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TypeAlias

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases, makes_new_memory
from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, Value
from builder.graph.operands import CONSTRUCTS, Call, find_call, static
from builder.graph.passes.layout_table import (
    ELEMENTWISE,
    GATHERING,
    INDIFFERENT,
    KEEPING,
    MAYBE_COPYING,
    OF_STRIDES,
    ROW_MAJOR,
)
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.prepack import CONVOLUTION, RUN, TRANSPOSED
from builder.lite.objects import CustomObject, Tensor

_CONVOLUTIONS = frozenset({RUN[CONVOLUTION], RUN[TRANSPOSED]})
_ROW_MAJOR_FORMAT = 0
_CHANNELS_LAST_FORMAT = 2
"""Codes of formats (c10/core/MemoryFormat.h)."""
_ITEM = "aten::__getitem__"
_Place: TypeAlias = tuple[Node | Block, int]


class _Order(IntEnum):
    """How a tensor is stored, compared with the graph as it was."""

    SAME = 0
    """As before."""
    PERHAPS = 1
    """Perhaps in another order than before."""
    CHANNELS_LAST = 2
    """Surely with the channels last, if it has more than one pixel."""


def keep_channels_last(graph: Graph, schemas: Schemas) -> PassResult:
    """Converts images to NHWC in front of the first of XNNPACK's convolutions, and keeps them so.

    XNNPACK computes in NHWC. For an input in NCHW, ATen converts before and behind each
    convolution; for one in NHWC it does not (ATen/native/xnnpack/Convolution.cpp). Operators that
    depend on the order get NCHW, `view` becomes `reshape`, and results of the method are NCHW.

    A reason to leave it out: an app whose inputs are NHWC already loses a check per convolution.
    """
    # One convolution alone converts in front and behind as ATen does itself, so nothing is gained.
    convolutions = sum(node.operator in _CONVOLUTIONS for _, node in graph.block.walk())
    if convolutions < 2:
        return PassResult(0)
    plan = _Plan(graph, schemas)
    if plan.obstacle:
        return PassResult(0, (f"{graph.name}: {plan.obstacle}, so images stay NCHW",))
    return PassResult(_convert(graph, plan))


class _Plan:
    """Where tensors have to be converted, found by following how each value is stored."""

    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.formats: dict[_Place, int] = {}
        """Inputs of nodes and outputs of blocks to convert, and into which format."""
        self.views: list[Node] = []
        """Nodes `aten::view` that become `aten::reshape`."""
        self.obstacle = ""
        self.aliases = Aliases(graph, schemas)
        self._schemas = schemas
        self._uses = graph.uses()
        self._orders: dict[Value, _Order] = {}
        self._given: set[Value] = set()
        """Tensors that the model itself stores as NHWC, so that nothing is to be restored."""
        self._follow(graph.block)
        self._restore((graph.block, i) for i in range(len(graph.block.outputs)))

    def _order(self, value: Value) -> _Order:
        return self._orders.get(value, _Order.SAME)

    def _follow(self, block: Block) -> None:
        for node in block.nodes:
            if node.operator == LOOP:
                # What a loop carries is stored as before, in each turn.
                self._hand_on((node, i) for i in range(len(node.inputs)))
            for inner in node.blocks:
                self._follow(inner)
            if node.operator == LOOP:
                (inner,) = node.blocks
                self._hand_on((inner, i) for i in range(len(inner.outputs)))
            elif node.operator == IF:
                first, second = node.blocks
                for output, a, b in zip(node.outputs, first.outputs, second.outputs, strict=True):
                    self._set([output], self._join((a, b)))
            else:
                self._visit(node)

    def _visit(self, node: Node) -> None:
        if node.operator in _CONVOLUTIONS:
            self._convolve(node)
            return
        name = node.operator.partition(".")[0]
        # These see the order itself. One of them is reason enough to leave the whole graph as it
        # is.
        if name in OF_STRIDES:
            self.obstacle = f"{name} depends on strides"
        if node.operator == CONSTANT:
            return
        if not any(map(self._order, node.inputs)):
            self._find_given(node, name)
            return
        if node.operator in CONSTRUCTS:
            self._pass_on(node)
        # With other strides a view becomes a copy, and then the write no longer reaches the source.
        elif name in MAYBE_COPYING and self._is_written_later(node):
            self.obstacle = f"the result of {name} is changed in place"
        elif (call := find_call(node, self._schemas)) is None:
            self.obstacle = f"{node.operator} is not known"
        else:
            self._compute(call)

    def _find_given(self, node: Node, name: str) -> None:
        if name == "aten::contiguous":
            call = find_call(node, self._schemas)
            given = call is not None and _format_of(call) is _Order.CHANNELS_LAST
        else:
            sources = [value for value in node.inputs if _may_have_order(value)]
            given = name.removesuffix("_") in KEEPING | ELEMENTWISE and bool(sources)
            given = given and self._given.issuperset(sources)
        if given:
            self._given.update(node.outputs)

    def _compute(self, call: Call) -> None:
        """An operator, at least one of whose arguments may be stored in another order."""
        node, name = call.node, call.name
        base = name.removesuffix("_")
        outputs = node.outputs if name == _ITEM else _tensor_outputs(call)
        if name == "aten::contiguous":
            self._set(outputs, _format_of(call))
        elif node.operator == "aten::view":
            self.views.append(node)
            self._set(outputs, _Order.PERHAPS)
        elif name in ROW_MAJOR:
            self._multiply(node)
        # The name ends with an underscore: the result is the first operand itself.
        elif base in ELEMENTWISE and name != base:
            self._set(outputs, self._order(node.inputs[0]))
        elif base in KEEPING or name == "aten::cat":
            self._set(outputs, self._join(filter(_may_have_order, node.inputs)))
        elif base in INDIFFERENT or name in GATHERING or name.startswith("quantized::"):
            self._set(outputs, _Order.PERHAPS)
        else:
            arguments = enumerate(call.schema.arguments[: len(node.inputs)])
            places = [(node, i) for i, argument in arguments if not argument.mutable]
            if makes_new_memory(call):
                self._restore(places)
            else:
                self._hand_on(places)

    def _convolve(self, node: Node) -> None:
        """A convolution of XNNPACK: its result has the order of its input."""
        source = node.inputs[0]
        if _channels(node) == 1:
            # An image of one channel is NCHW too, and so is the result.
            if self._order(source):
                self._set(node.outputs, _Order.PERHAPS)
            return
        if source in self._given and node.operator != RUN[TRANSPOSED]:
            self._given.update(node.outputs)
            return
        if self._order(source) is not _Order.CHANNELS_LAST and source not in self._given:
            self.formats[node, 0] = _CHANNELS_LAST_FORMAT
        # It may make a large image of one pixel, which is NCHW and NHWC at once, so the order of
        # its result is not sure.
        grows = node.operator == RUN[TRANSPOSED]
        self._set(node.outputs, _Order.PERHAPS if grows else _Order.CHANNELS_LAST)

    def _multiply(self, node: Node) -> None:
        info = node.inputs[0].info
        # Only tensors of four dimensions or more can be channels last.
        if info is None or info.sizes is None or len(info.sizes) > 3:
            self._restore([(node, 0)])

    def _pass_on(self, node: Node) -> None:
        """A construct of the language: lists go to some operators as they are."""
        users = self._uses.get(node.outputs[0], ()) if node.outputs else ()
        gathered = node.operator == "prim::ListConstruct" and all(
            isinstance(user, Node) and user.operator.partition(".")[0] in GATHERING
            for user, _ in users
        )
        taken = node.operator in ("prim::ListUnpack", "prim::unchecked_cast", "prim::isinstance")
        if gathered:
            self._set(node.outputs, self._join(node.inputs))
        elif taken:
            self._set(node.outputs, _Order.PERHAPS)
        else:
            self._hand_on((node, i) for i in range(len(node.inputs)))

    def _hand_on(self, places: Iterable[_Place]) -> None:
        """Plans to restore what something else keeps, or views, after it is a copy."""
        for owner, index in places:
            if isinstance(owner, Block):
                value = owner.outputs[index]
                written = self.aliases.is_written(value)
            else:
                value = owner.inputs[index]
                written = self.aliases.is_told_apart(value, owner)
            # A later change reaches either the copy or its source, and the model sees both as one.
            if written and self._order(value):
                self.obstacle = "an image is changed in place that something else keeps or views"
            self._restore([(owner, index)])

    def _restore(self, places: Iterable[_Place]) -> None:
        """Plans to make tensors row-major again, as they were before."""
        for place in places:
            owner, index = place
            values = owner.outputs if isinstance(owner, Block) else owner.inputs
            if not self._order(values[index]):
                continue
            # `contiguous` takes a tensor. Images in a list would have to be taken out and put back.
            if not self._is_tensor(values[index]):
                self.obstacle = "it keeps images in a list"
            self.formats[place] = _ROW_MAJOR_FORMAT

    def _is_tensor(self, value: Value) -> bool:
        """Whether `value` is sure to be one tensor."""
        producer = value.producer
        if value.type == "Tensor" or producer is None:
            return value.type == "Tensor"
        index = producer.outputs.index(value)
        if producer.operator == IF:
            return all(self._is_tensor(block.outputs[index]) for block in producer.blocks)
        call = find_call(producer, self._schemas)
        if call is None:
            return producer.operator == "prim::ListUnpack"
        return call.schema.results[index : index + 1] == ("Tensor",) or call.name == _ITEM

    def _join(self, values: Iterable[Value]) -> _Order:
        orders = {self._order(value) for value in values}
        if len(orders) == 1:
            return orders.pop()
        return _Order.PERHAPS if orders else _Order.SAME

    def _set(self, values: Iterable[Value], order: _Order) -> None:
        for value in values:
            self._orders[value] = order

    def _is_written_later(self, node: Node) -> bool:
        return any(self.aliases.is_told_apart(value, node) for value in node.outputs)


def _tensor_outputs(call: Call) -> list[Value]:
    results = zip(call.node.outputs, call.schema.results, strict=False)
    return [output for output, result in results if "Tensor" in result]


def _may_have_order(value: Value) -> bool:
    """Whether `value` may be a tensor of two dimensions or more, or a list of them."""
    if value.is_constant and not isinstance(value.constant, Tensor):
        return False
    if value.type in ("int", "float", "bool", "number", "Scalar", "List[int]"):
        return False
    return value.info is None or value.info.sizes is None or len(value.info.sizes) > 1


def _format_of(call: Call) -> _Order:
    wanted = call.static("memory_format")
    if wanted == _ROW_MAJOR_FORMAT:
        return _Order.SAME
    return _Order.CHANNELS_LAST if wanted == _CHANNELS_LAST_FORMAT else _Order.PERHAPS


def _channels(node: Node) -> int:
    """Returns the number of channels that a convolution of XNNPACK takes; 0 if it is unknown."""
    context = static(node.inputs[1])
    if not isinstance(context, CustomObject) or not isinstance(context.state, tuple):
        return 0
    transposed = node.operator == RUN[TRANSPOSED]
    if len(context.state) != (9 if transposed else 8):
        return 0
    weight, groups = context.state[0], context.state[6 if transposed else 5]
    if not isinstance(weight, Tensor) or len(weight.sizes) != 4 or not isinstance(groups, int):
        return 0
    return weight.sizes[0] if transposed else weight.sizes[1] * groups


def _convert(graph: Graph, plan: _Plan) -> int:
    for node in plan.views:
        node.operator = "aten::reshape"
    places: dict[Node | Block, list[int]] = {}
    for owner, index in plan.formats:
        places.setdefault(owner, []).append(index)
    blocks = [graph.block]
    while blocks:
        block = blocks.pop()
        kept: list[Node] = []
        made: dict[tuple[Value, int], Value] = {}
        for node in block.nodes:
            _convert_values(node, places.get(node, ()), plan, kept, made)
            kept.append(node)
            blocks.extend(node.blocks)
        _convert_values(block, places.get(block, ()), plan, kept, made)
        block.nodes = kept
    return len(plan.formats) + len(plan.views)


def _convert_values(
    owner: Node | Block,
    indexes: Iterable[int],
    plan: _Plan,
    nodes: list[Node],
    made: dict[tuple[Value, int], Value],
) -> None:
    values = owner.outputs if isinstance(owner, Block) else owner.inputs
    for index in indexes:
        source, wanted = values[index], plan.formats[owner, index]
        converted = made.get((source, wanted))
        if converted is None:
            converted = Value(type="Tensor", info=source.info)
            code = Value(type="int")
            nodes.append(Node(CONSTANT, [], [code], {"value": wanted}))
            nodes.append(Node("aten::contiguous", [source, code], [converted]))
            # A copy of what the model changes in place is old at its next use.
            if not plan.aliases.is_written(source):
                made[source, wanted] = converted
        values[index] = converted
