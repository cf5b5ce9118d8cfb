"""Computes what depends on constants only, and takes branches whose condition is constant."""

from __future__ import annotations

import math
from collections.abc import Sequence

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.effects import is_pure
from builder.graph.graph import CONSTANT, IF, LOOP, Graph, Node, Value
from builder.graph.operands import UNKNOWN, static
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.scalar_rules import NotComputable, compute, is_flat, length_of
from builder.graph.passes.tensor_rules import compute_tensor
from builder.graph.rewriting import Rewriter
from builder.graph.tensor_arrays import Allowance
from builder.lite.objects import List, Tensor

_ITEMS = {int: "int", float: "float", bool: "bool", str: "str", Tensor: "Tensor"}
_READS = frozenset({"aten::__getitem__.t", "aten::len.t", "prim::TupleIndex"})
_NEVER_NONE = frozenset({"Tensor", "int", "float", "bool", "str", "List[int]", "List[Tensor]"})


def fold_constants(graph: Graph, schemas: Schemas) -> PassResult:
    """Replaces nodes by constants where the result is the same, bit by bit, for all inputs.

    Lists and tensors that the model changes in
    place, or hands out, are not made constants.

    A reason to leave it out: a constant that is computed from a smaller one makes the file larger.
    """
    folder = _Folder(graph, schemas)
    return PassResult(folder.rewriter.run(folder.fold))


class _Folder:
    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self.rewriter = Rewriter(graph)
        self.schemas = schemas
        self.aliases = Aliases(graph, schemas)
        self.allowance = Allowance(graph)

    def fold(self, node: Node) -> Sequence[Value] | None:
        """The rule of the rewriter."""
        match node.operator:
            case operator if operator == CONSTANT:
                return None
            case operator if operator == IF:
                return self._fold_branch(node)
            case operator if operator == LOOP:
                return self._fold_loop(node)
            case "prim::ListConstruct":
                return self._fold_list(node)
            case "prim::ListUnpack" | "prim::TupleUnpack":
                return self._fold_unpacking(node)
            case _:
                return self._fold_operator(node)

    def _fold_branch(self, node: Node) -> Sequence[Value] | None:
        condition = static(node.inputs[0])
        if not isinstance(condition, bool):
            return None
        # Its nodes take the place of the branch. The other block disappears with everything in it.
        block = node.blocks[0 if condition else 1]
        self.rewriter.splice(block.nodes)
        return block.outputs

    def _fold_loop(self, node: Node) -> Sequence[Value] | None:
        turns, condition = static(node.inputs[0]), static(node.inputs[1])
        never = condition is False or (type(turns) is int and turns <= 0)
        return node.inputs[2:] if never else None

    def _fold_list(self, node: Node) -> Sequence[Value] | None:
        items = [static(value) for value in node.inputs]
        kinds = {type(item) for item in items}
        kept = node.attributes.get("type")
        # A constant is made once for all calls, so a list that is changed must be made anew each
        # time.
        if UNKNOWN in items or len(kinds) > 1 or not self._is_fixed(node.output):
            return None
        # An empty list has no item that tells its type, only what the bytecode says of it.
        kind = _ITEMS.get(next(iter(kinds), object))
        if kind is None and (items or not isinstance(kept, str)):
            return None
        of = kept if isinstance(kept, str) and kept else f"List[{kind}]"
        return [self.rewriter.constant(List(of, items))]

    def _fold_unpacking(self, node: Node) -> Sequence[Value] | None:
        items = self._items(node.inputs[0])
        if items is None and isinstance(found := static(node.inputs[0]), list):
            # One list can be taken apart again and again.
            fits = len(found) == len(node.outputs) and is_flat(found)
            return [self.rewriter.constant(item) for item in found] if fits else None
        return items if items is not None and len(items) == len(node.outputs) else None

    def _items(self, container: Value) -> Sequence[Value] | None:
        """Returns the items of a list or tuple that the graph makes and nothing changes."""
        producer = container.producer
        if producer is None:
            return None
        if producer.operator == "prim::TupleConstruct":
            return producer.inputs
        if producer.operator == "prim::ListConstruct" and not self.aliases.is_written(container):
            return producer.inputs
        return None

    def _fold_operator(self, node: Node) -> Sequence[Value] | None:
        if len(node.outputs) != 1:
            return None
        # One item may be known although others in the same list depend on inputs.
        if node.operator in _READS and not node.inputs[0].is_constant:
            return self._fold_read(node)
        if node.operator in ("aten::__is__", "aten::__isnot__"):
            return self._compare_none(node)
        arguments = [static(value) for value in node.inputs]
        if UNKNOWN in arguments:
            return self._fold_identity(node)
        if not node.inputs or not is_pure(node, self.schemas):
            return None
        if any(self.aliases.is_written(value) for value in node.inputs):
            return None
        if node.operator == "prim::TupleIndex":
            return self._fold_index(node, arguments)
        return self._compute(node, arguments)

    def _compute(self, node: Node, arguments: list[object]) -> Sequence[Value] | None:
        schema = self.schemas.find(node.operator)
        if schema is None:
            return None
        try:
            result = compute(schema, arguments)
        except NotComputable:
            return self._fold_tensor(node, arguments)
        if isinstance(result, list) and not self._is_fixed(node.output):
            return None
        if not self.allowance.take(length_of(result)):
            return None
        return [self._make(result, node)]

    def _fold_read(self, node: Node) -> Sequence[Value] | None:
        items = self._items(node.inputs[0])
        if node.operator == "aten::len.t":
            return None if items is None else [self.rewriter.constant(len(items))]
        index = static(node.inputs[1])
        if items is None or type(index) is not int or not -len(items) <= index < len(items):
            return None
        return [items[index]]

    def _fold_index(self, node: Node, arguments: list[object]) -> Sequence[Value] | None:
        items, index = arguments
        if not isinstance(items, tuple) or type(index) is not int:
            return None
        if not -len(items) <= index < len(items) or not is_flat(items[index]):
            return None
        return None if isinstance(items[index], list) else [self._make(items[index], node)]

    def _fold_tensor(self, node: Node, arguments: list[object]) -> Sequence[Value] | None:
        # `compute_tensor` bounds the result by the size of the arguments, so they are what folding
        # may cost.
        given = sum(math.prod(a.sizes) for a in arguments if isinstance(a, Tensor))
        if not self._is_fixed(node.output) or not self.allowance.take(given):
            return None
        try:
            return [self.rewriter.constant(compute_tensor(node.operator, arguments))]
        except NotComputable:
            return None

    def _fold_identity(self, node: Node) -> Sequence[Value] | None:
        """A number that was made a tensor to be made a number again, as tracing does."""
        maker = node.inputs[0].producer
        if (
            node.operator in ("aten::Int.Tensor", "aten::ScalarImplicit", "aten::IntImplicit")
            and maker is not None
            and maker.operator == "prim::NumToTensor.Scalar"
            and _is_integer(maker.inputs[0])
        ):
            return [maker.inputs[0]]
        return None

    def _compare_none(self, node: Node) -> Sequence[Value] | None:
        left, right = (static(value) for value in node.inputs)
        if left is None and right is None:
            same = True
        elif (left is None and _is_something(node.inputs[1])) or (
            right is None and _is_something(node.inputs[0])
        ):
            same = False
        else:
            return None
        return [self.rewriter.constant(same == (node.operator == "aten::__is__"))]

    def _is_fixed(self, value: Value) -> bool:
        return not (self.aliases.is_written(value) or self.aliases.escapes(value))

    def _make(self, constant: object, node: Node) -> Value:
        if isinstance(constant, list):
            kind = _ITEMS.get(type(constant[0]), "int") if constant else "int"
            of = node.output.type or f"List[{kind}]"
            # The type stands in the file, so an empty list of floats must not become one of ints.
            return self.rewriter.constant(List(of, constant))
        return self.rewriter.constant(constant)


def _is_something(value: Value) -> bool:
    """Whether `value` is sure not to be None."""
    return (
        value.type in _NEVER_NONE or value.info is not None or static(value) not in (UNKNOWN, None)
    )


def _is_integer(value: Value) -> bool:
    if value.is_constant:
        return type(value.constant) is int
    maker = value.producer
    return value.type == "int" or (
        maker is not None and maker.operator in ("aten::size.int", "aten::len.t", "aten::dim")
    )
