"""Which values may share memory, and where it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from builder.core.operator_schemas import Schemas
from builder.graph.attributes import find_memory, slot_name
from builder.graph.effects import find_statistics
from builder.graph.graph import CONSTANT, GET_ATTR, IF, LOOP, SET_ATTR, Block, Graph, Node, Value
from builder.graph.operands import CALLS, CONSTRUCTS, Call, find_call
from builder.lite.objects import ScriptObject

_PLAIN_TYPES = frozenset({"int", "float", "bool", "str", "NoneType", "None", "number", "Device"})
_PLAIN_OPERATORS = frozenset({"prim::isinstance", "prim::Uninitialized"})
_SILENT = frozenset(
    {
        "_cast_Byte",
        "_cast_Char",
        "_cast_Double",
        "_cast_Float",
        "_cast_Half",
        "_cast_Int",
        "_cast_Long",
        "_cast_Short",
        "_pack_sequence",
        "_remove_batch_dim",
        "_reshape_from_tensor",
        "_saturate_weight_to_fp16",
        "_unsafe_view",
        "align_as",
        "alpha_dropout",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "broadcast_tensors",
        "cartesian_prod",
        "chain_matmul",
        "channel_shuffle",
        "concat",
        "conj_physical",
        "data",
        "dequantize",
        "dropout",
        "einsum",
        "feature_alpha_dropout",
        "feature_dropout",
        "flatten_dense_tensors",
        "fold",
        "lift_fresh",
        "meshgrid",
        "nan_to_num",
        "native_channel_shuffle",
        "pad",
        "pixel_shuffle",
        "pixel_unshuffle",
        "repeat_interleave",
        "sum_to_size",
        "tensordot",
        "tile",
        "type_as",
        "zeros_like",
        "to_dense",
        "result",
        "rot90",
    }
)
"""Operators that may return a view of an argument though their schemas do not say so."""
_HOLDING = re.compile(r"\b(t\d?|tVal|Any|Tensor\??\s*\[)(?!\w)|Dict|^\(", re.ASCII)
"""Types of results that are, or may be, containers of tensors."""
_SIZES = ("int[", "SymInt[")
"""How types of arguments begin that are lists of numbers."""
_RESIZING = frozenset(
    {
        "_mkldnn_transpose_",
        "_resize_output_",
        "resize_",
        "resize_as_",
        "resize_as_sparse_",
        "set_",
        "set_data",
        "sparse_resize_",
        "sparse_resize_and_clear_",
    }
)
_ADOPTING = frozenset({"aten::set_", "aten::set_data"})
"""Operators that give a tensor the memory of another one."""
_KEEPING_SHAPE = frozenset({"detach_", "rename_", "requires_grad_"})


class Aliases:
    """Sets of values that may share memory, without regard to the order of the nodes.

    Two values are in one set if any node may make one a view, an item or a container of the
    other. What a model gets from outside, arguments apart from `self`, is one set. What attributes
    hold is one set too, unless `objects` tells whose attributes the graph reads and sets.
    """

    def __init__(
        self, graph: Graph, schemas: Schemas, objects: Mapping[Value, ScriptObject] | None = None
    ) -> None:
        self._schemas = schemas
        self._objects = objects
        self._uses = graph.uses()
        self._parents: dict[object, object] = {}
        self._writes: dict[object, int] = {}
        """Memory -> the position of the last node that may write into it."""
        self._reshaping: list[object] = []
        self._reshaped: set[object] = set()
        self._looping: set[object] = set()
        self._escaping: set[object] = set()
        self._lasting: list[object] = []
        self._outliving: set[object] = set()
        self._all_slots: list[object] = []
        self._memory: dict[int, list[object]] = {}
        """`id` of a constant -> what stands for all memory in it."""
        self._positions: dict[Node, int] = {}
        # A caller may give one tensor twice, or two views of one.
        self._unite(graph.block.inputs[1:])
        self._scan(graph.block)
        self._settle(graph.block.outputs)

    def is_written(self, value: Value) -> bool:
        """Whether any node may write into what `value` refers to."""
        return self._find(value) in self._writes

    def is_written_after(self, value: Value, node: Node) -> bool:
        """Whether a node that runs after `node` may write into what `value` refers to."""
        key = self._find(value)
        # In a loop, a node that stands earlier runs again after a later one.
        if key in self._looping:
            return True
        # A node that came into the graph later may stand anywhere.
        position = self._positions.get(node, -1)
        return self._writes.get(key, -1) > position

    def is_told_apart(self, value: Value, node: Node) -> bool:
        """Whether a write shows that `node` makes a copy of `value`, or that it makes none."""
        if self.outlives(value):
            return self.is_written(value)
        return self.is_written_after(value, node)

    def is_reshaped(self, value: Value) -> bool:
        """Whether any node may change the shape of a tensor that shares memory with `value`.

        The shape of such a tensor depends on where it is asked for.
        """
        return self._find(value) in self._reshaped

    def escapes(self, value: Value) -> bool:
        """Whether code outside of the graph may get what `value` refers to."""
        return self._find(value) in self._escaping

    def outlives(self, value: Value) -> bool:
        """Whether the next call of the model may find what `value` refers to.

        An attribute or a constant holds it, so what stands earlier in the graph runs after it too.
        """
        return self._find(value) in self._outliving

    def same(self, first: Value, second: Value) -> bool:
        """Whether both may share memory."""
        return self._find(first) is self._find(second)

    def memory(self, value: Value) -> object:
        """Returns what stands for the set of values that `value` belongs to."""
        return self._find(value)

    def _scan(self, root: Block) -> None:
        written: list[tuple[object, int, bool]] = []
        escaping: list[object] = []
        tasks: list[tuple[Block, bool]] = [(root, False)]
        # Positions follow the text of the graph; blocks are numbered before what follows them.
        self._number(root)
        while tasks:
            block, looping = tasks.pop()
            for node in block.nodes:
                tasks.extend((inner, looping or node.operator == LOOP) for inner in node.blocks)
                writes, leaves = self._connect(node)
                written += [(value, self._positions[node], looping) for value in writes]
                escaping += leaves
        for value, position, looping in written:
            key = self._find(value)
            self._writes[key] = max(position, self._writes.get(key, -1))
            if looping:
                self._looping.add(key)
        self._escaping.update(map(self._find, escaping))

    def _settle(self, outputs: Iterable[Value]) -> None:
        self._escaping.update(self._find(value) for value in outputs)
        self._outliving.update(map(self._find, self._lasting))
        self._reshaped.update(map(self._find, self._reshaping))

    def _number(self, root: Block) -> None:
        waiting: list[Node] = list(reversed(root.nodes))
        while waiting:
            node = waiting.pop()
            self._positions[node] = len(self._positions)
            for block in reversed(node.blocks):
                waiting.extend(reversed(block.nodes))

    def _connect(self, node: Node) -> tuple[list[object], list[object]]:
        """Unites what `node` may make one; returns what it writes, and what leaves the graph."""
        if node.operator == CONSTANT:
            self._connect_constant(node)
        elif node.operator in (IF, LOOP):
            self._connect_blocks(node)
        elif node.operator == GET_ATTR:
            self._unite((node.output, *self._slot(node)))
            self._lasting.append(node.output)
        elif node.operator == SET_ATTR:
            self._unite((node.inputs[1], *self._slot(node)))
            self._lasting.append(node.inputs[1])
            return [], [node.inputs[1]]
        # Without this, `cat` of two tensors would count as one memory, and a write into one of them
        # as a write into the other.
        elif node.operator == "prim::ListConstruct" and self._is_only_read(node.output):
            pass
        elif node.operator not in _PLAIN_OPERATORS:
            return self._connect_call(node)
        return [], []

    def _slot(self, node: Node) -> list[object]:
        """Returns what stands for the attribute that a node reads or sets."""
        if self._objects is None:
            return ["attributes"]
        owner = self._objects.get(node.inputs[0])
        if owner is None:
            # From here on nothing is known of whose attribute is meant, so all of them become one
            # set.
            self._objects = None
            return ["attributes", *self._all_slots]
        name = slot_name(node, owner)
        held = owner.attributes.get(name)
        key: list[object] = [(id(owner), name), *self._find_memory(held)]
        self._all_slots += key
        return key

    def _connect_blocks(self, node: Node) -> None:
        if node.operator == IF:
            for block in node.blocks:
                for output, value in zip(node.outputs, block.outputs, strict=True):
                    self._unite((output, value))
            return
        (block,) = node.blocks
        carried = (node.inputs[2:], block.inputs[1:], block.outputs[1:], node.outputs)
        for values in zip(*carried, strict=True):
            self._unite(values)

    def _connect_constant(self, node: Node) -> None:
        memory = self._find_memory(node.attributes["value"])
        self._unite((node.output, *memory))
        self._lasting += memory

    def _find_memory(self, held: object) -> list[object]:
        # Many nodes can hold one large constant.
        if id(held) not in self._memory:
            memory: list[object] = [("memory", id(one)) for one in find_memory(held)]
            self._unite(memory)
            self._memory[id(held)] = memory[:1]
        return self._memory[id(held)]

    def _is_only_read(self, container: Value) -> bool:
        """Whether nothing gets a list or its items but operators that make new tensors of them."""
        for user, index in self._uses.get(container, ()):
            call = find_call(user, self._schemas) if isinstance(user, Node) else None
            if call is None or index >= len(call.schema.arguments):
                return False
            argument = call.schema.arguments[index]
            if argument.aliases or argument.mutable or is_silent(call):
                return False
            if keeps_references(call):
                return False
        return True

    def _connect_call(self, node: Node) -> tuple[list[object], list[object]]:
        call = find_call(node, self._schemas)
        if call is None:
            # Nothing is known of what a method or an unknown operator does with its arguments.
            together = [*filter(_holds_memory, node.inputs), *node.outputs]
            self._unite(together)
            if node.operator in CONSTRUCTS - CALLS:
                return [], []
            self._reshaping += together
            return list(together), list(together)
        shared: list[Value] = []
        written: list[object] = []
        names = call.schema.arguments
        everything = is_silent(call) or keeps_references(call) or call.name in _ADOPTING
        for index, value in enumerate(node.inputs):
            argument = names[index] if index < len(names) else None
            if argument is not None and argument.mutable:
                written.append(value)
            if not _holds_memory(value):
                continue
            if argument is not None and is_silent(call) and argument.type.startswith(_SIZES):
                # A view shares the memory of a tensor, not of the list of its sizes.
                continue
            if argument is None or argument.aliases or everything:
                shared.append(value)
        written += find_statistics(call)
        if _reshapes(call, self._schemas):
            self._reshaping += written
        if shared:
            self._unite([*shared, *filter(_holds_memory, node.outputs)])
        return written, []

    def _unite(self, values: Iterable[object]) -> None:
        keys = [self._find(value) for value in values]
        for key in keys[1:]:
            if key is not keys[0]:
                self._parents[key] = keys[0]

    def _find(self, value: object) -> object:
        root = value
        while (parent := self._parents.get(root, root)) is not root:
            root = parent
        # Path compression: each value on the way points to the root from now on, which keeps this
        # near linear.
        while value is not root:
            value, self._parents[value] = self._parents.get(value, root), root
        return root


def is_alone(
    value: Value,
    node: Node,
    schemas: Schemas,
    uses: Callable[[Value], int],
    home: Callable[[Node], Block | None],
) -> bool:
    """Whether nothing but `node`, which runs once for each `value`, can see a tensor's memory.

    Args:
        value: an input of `node`; operators in place may have changed it since it was made.
        node: a user of it.
        schemas: of the operators of the release.
        uses: how often a value is used.
        home: the block that a node stands in; None if it is not known.
    """
    # In a loop, a node gets what was made in front of the loop in each turn.
    while uses(value) == 1 and _made_beside(value, node, home):
        assert value.producer is not None
        call = find_call(value.producer, schemas)
        if call is None or call.schema.results != ("Tensor",):
            return False
        if makes_new_memory(call):
            return True
        if not call.schema.arguments[0].mutable or call.name in _ADOPTING:
            return False
        value = value.producer.inputs[0]
    return False


def _made_beside(value: Value, node: Node, home: Callable[[Node], Block | None]) -> bool:
    block = home(node)
    return value.producer is not None and block is not None and home(value.producer) is block


def makes_new_memory(call: Call) -> bool:
    """Whether the results of an operator share no memory with its arguments."""
    if is_silent(call) or keeps_references(call):
        return False
    return not any(one.aliases for one in call.schema.arguments)


def keeps_references(call: Call) -> bool:
    """Whether an operator may put items of its arguments into a container, or take them out.

    Schemas say it of some of these operators only.
    """
    schema = call.schema
    places = [one.type for one in schema.arguments if one.mutable] + list(schema.results)
    # A schema that says which tensors the items of a new list are views of is exact.
    exact = any(one.aliases and one.type == "Tensor" for one in schema.arguments)
    return any(_HOLDING.search(place) for place in places) and not exact


def _reshapes(call: Call, schemas: Schemas) -> bool:
    """Whether an operator may give a tensor that it changes another shape, or other strides."""
    # An operator resizes the tensor that it is given for its result.
    if call.schema.writes_result:
        return True
    base = call.name.partition("::")[2]
    if base in _RESIZING:
        return True
    # What makes a view makes one in place too, such as `unsqueeze_`.
    if not base.endswith("_") or base in _KEEPING_SHAPE:
        return False
    return any(
        one.aliases and not one.mutable and one.type == "Tensor"
        for schema in schemas.overloads(call.name.removesuffix("_"))
        for one in schema.arguments
    )


def is_silent(call: Call) -> bool:
    """Whether an operator may return a view of an argument though its schema does not say so."""
    base = call.name.partition("::")[2]
    # `copy` may return its source, and `copy_` never does.
    return base == "copy" or base.removesuffix("_") in _SILENT


def _holds_memory(value: Value) -> bool:
    if value.type in _PLAIN_TYPES:
        return False
    if not value.is_constant:
        return True
    return not isinstance(value.constant, None.__class__ | bool | int | float | complex | str)
