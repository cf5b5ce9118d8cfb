"""Turns the nodes of a program into nodes of a graph."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import Block, Node, TensorInfo, Value
from builder.pt2 import document
from builder.pt2.arguments import ABSENT, SYMBOLIC, Scope, read_argument
from builder.pt2.control import Control
from builder.pt2.decompositions import DECOMPOSITIONS, DROPPED
from builder.pt2.document import Argument, Subgraph, TensorMeta
from builder.pt2.graph_builder import GraphBuilder
from builder.pt2.kinds import Kind, Operand, UnsupportedError
from builder.pt2.scalars import add_scalar, is_scalar_target

_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", re.ASCII)
_HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.(\w+)", re.ASCII)
_DEEPEST = 12
_LONGEST_NAME = 100

_MOVES = frozenset({"aten::to.device", "aten::to.dtype_layout"})
_ITEMS = frozenset({"aten::item", "aten::_local_scalar_dense"})


@dataclass(slots=True, eq=False)
class NodeConverter:
    """Adds the nodes of programs to a graph, and collects what cannot be added."""

    graph_builder: GraphBuilder
    tensors: Mapping[str, TensorMeta]
    """What is known about the tensors of the graph that is being converted."""
    problems: Counter[str] = field(default_factory=Counter)
    """Parts that cannot be converted, each with its reason -> how often they occur."""
    devices: set[str] = field(default_factory=set)
    """Devices other than the CPU that the program names."""
    _depth: int = 0

    def convert(self, graph: document.Graph, scope: Scope) -> list[Operand]:
        """Adds the nodes of `graph`, and returns its outputs.

        Args:
            graph: a program, or a branch of one.
            scope: the values of its inputs; results of nodes are added.
        """
        outer, self.tensors = self.tensors, graph.tensor_values
        for node in graph.nodes:
            try:
                self._bind(node, self._convert(node, scope), scope)
            except UnsupportedError as error:
                self.problems[f"{_name_of(node.target)}: {error}"] += 1
                # What uses its results is no problem of its own.
                self._bind(node, None, scope)
        outputs = [self._operand(output, scope) for output in graph.outputs]
        self.tensors = outer
        return outputs

    def _operand(self, argument: Argument, scope: Scope) -> Operand:
        try:
            return self._read(argument, scope)
        except UnsupportedError as error:
            self.problems[f"an output: {error}"] += 1
            return None

    def _read(self, argument: Argument, scope: Scope) -> Operand:
        return read_argument(argument, scope, self.devices)

    def _convert(self, node: document.Node, scope: Scope) -> list[Operand]:
        """Adds one node, and returns its results."""
        if match := _HIGHER_ORDER.fullmatch(node.target):
            arguments = [
                one.arg.as_graph if one.arg.choice[0] == "as_graph" else self._read(one.arg, scope)
                for one in node.inputs
            ]
            return Control(self.graph_builder, self._inline).convert(match[1], arguments)
        if is_scalar_target(node.target):
            operands = [self._read(one.arg, scope) for one in node.inputs]
            return [add_scalar(self.graph_builder, node.target, operands, _kind_of(node))]
        match = _OPERATOR.fullmatch(node.target)
        if match is None:
            raise UnsupportedError("builder does not know this function")
        space, name, overload = match.groups()
        operator = f"{space}::{name}" + ("" if overload == "default" else f".{overload}")
        # Checks and the like, without a result that a runtime would need.
        if operator in DROPPED:
            return []
        named = {one.name: self._read(one.arg, scope) for one in node.inputs}
        if operator in _ITEMS and (kind := _kind_of(node)):
            # A number of the type that the program says; item() itself returns a Scalar.
            return [
                self.graph_builder.value(f"aten::{kind.capitalize()}.Tensor", named.get("self"))
            ]
        if operator in _MOVES and self._moves(node):
            named["copy"] = True
        return self._call(operator, named)

    def _moves(self, node: document.Node) -> bool:
        """Whether a result is on another device than the first argument, so that it is a copy."""
        names = [one.choice for one in (node.inputs[0].arg, *node.outputs[:1])]
        metas = [self.tensors.get(held.name) for kind, held in names if kind == "as_tensor"]
        found = [meta.device for meta in metas if meta is not None]
        return any((one.type, one.index) != (found[0].type, found[0].index) for one in found)

    def _call(self, operator: str, named: Mapping[str, Operand]) -> list[Operand]:
        row = DECOMPOSITIONS.get(operator)
        if row is not None:
            try:
                # The names of the Python function's parameters are those of the operator's schema.
                bound = inspect.signature(row).bind(self.graph_builder.value, **named)
            except TypeError:
                raise UnsupportedError(
                    "it does not have the arguments that builder knows"
                ) from None
            result = row(*bound.args, **bound.kwargs)
            if not isinstance(result, tuple):
                return [result]
            # A result for training may be named in the file. Only its use is an error.
            return [ABSENT if one is None else one for one in result]
        if self.graph_builder.schemas.find(operator) is None:
            raise UnsupportedError(_why_missing(operator, self.graph_builder))
        return list(self.graph_builder.call(operator, **named))

    def _bind(self, node: document.Node, results: Sequence[Operand] | None, scope: Scope) -> None:
        """Gives the names of a node's outputs to its results; None: to values without producer."""
        outputs = [output.choice for output in node.outputs]
        if results is not None and len(outputs) == 1 and outputs[0][0] == "as_tensors":
            # A higher-order operator has several results where an operator has one list.
            is_list = len(results) == 1 and isinstance(results[0], Value | list)
            if not is_list or (isinstance(results[0], Value) and results[0].type == "Tensor"):
                results = [list(results)]
        for index, (kind, value) in enumerate(outputs):
            if results is None:
                self._bind_one(kind, value, None, scope)
            elif index < len(results):
                self._bind_one(kind, value, results[index], scope)
            elif kind != "as_none":
                raise UnsupportedError(f"it has {len(results)} results and not {len(outputs)}")

    def _bind_one(self, kind: str, value: Any, result: Operand, scope: Scope) -> None:  # noqa: ANN401
        if kind == "as_tensors":
            names = [one.name for one in value]
            items: Sequence[Operand] = [None] * len(names)
            if isinstance(result, Value):
                items = self.graph_builder.add(
                    "prim::ListUnpack", [result], ["Tensor"] * len(names)
                )
            elif isinstance(result, list):
                items = result
            if len(items) != len(names):
                raise UnsupportedError(f"it has {len(items)} results and not {len(names)}")
            for name, item in zip(names, items, strict=True):
                scope[name] = self._describe(name, item)
        elif kind == "as_tensor":
            scope[value.name] = self._describe(value.name, result)
        elif kind in SYMBOLIC:
            which, name = value.choice
            if which == "as_name":
                scope[name] = self._narrow(result, SYMBOLIC[kind])
        # `as_none` is a result that does not exist; others have no name either.

    def _describe(self, name: str, result: Operand) -> Operand:
        """Adds to a tensor its name, dtype and sizes."""
        if not isinstance(result, Value):
            return Value("Tensor", name=name) if result is None else result
        # Constants, and values with two names, are described already.
        if result.info is None and (meta := self.tensors.get(name)):
            result.info = describe(meta)
        result.name = result.name or name
        return result

    def _narrow(self, result: Operand, kind: str) -> Operand:
        """Returns a number of the type that the program says, such as an int for a Scalar."""
        if result is None:
            return Value(kind)
        if isinstance(result, Value):
            return self.graph_builder.lower(result, Kind(kind, optional=False))
        return result

    def _inline(self, subgraph: Subgraph, operands: Sequence[Operand]) -> list[Operand]:
        graph = subgraph.graph
        if len(graph.inputs) != len(operands):
            raise UnsupportedError(f"{len(operands)} arguments for {len(graph.inputs)} inputs")
        if self._depth >= _DEEPEST:
            raise UnsupportedError("graphs are nested too deeply")
        # Torch takes them apart; inside, each use of a name would cost as much as all of them.
        if any(isinstance(operand, str | list | tuple) for operand in operands):
            raise UnsupportedError("a graph takes a list or a string")
        names = (_input_name(one) for one in graph.inputs)
        scope: Scope = {
            name: operand for name, operand in zip(names, operands, strict=True) if name is not None
        }
        self._depth += 1
        try:
            return self.convert(graph, scope)
        finally:
            self._depth -= 1


def describe(meta: TensorMeta) -> TensorInfo:
    """Returns dtype and sizes of a tensor; sizes that depend on the inputs are None."""
    dtype = meta.dtype_name
    return TensorInfo(
        dtype if dtype in SCALAR_TYPES else None,
        tuple(
            value if kind == "as_int" else None for kind, value in (s.choice for s in meta.sizes)
        ),
    )


def sweep(block: Block) -> None:
    """Removes arithmetic, constants and lists that nothing uses, such as those of checks."""
    _sweep(block, set())


def _sweep(block: Block, used: set[Value]) -> None:
    used.update(block.outputs)
    kept: list[Node] = []
    # Backwards, a node is met after all that use it.
    for node in reversed(block.nodes):
        if _is_removable(node) and used.isdisjoint(node.outputs):
            continue
        for inner in node.blocks:
            _sweep(inner, used)
        used.update(node.inputs)
        kept.append(node)
    block.nodes[:] = reversed(kept)


def _is_removable(node: Node) -> bool:
    if node.operator in ("prim::Constant", "prim::ListConstruct", "prim::GetAttr"):
        return True
    # A node without outputs acts on something, so it stays.
    is_scalar = all(output.type in ("int", "float", "bool", "number") for output in node.outputs)
    return is_scalar and bool(node.outputs) and not node.blocks


def _why_missing(operator: str, graph_builder: GraphBuilder) -> str:
    space = operator.partition("::")[0]
    if space not in ("aten", "prim", "prims"):
        return "it is a custom operator, whose code a runtime does not have"
    if operator.partition(".")[0] in graph_builder.overloads:
        return "the release has other overloads only"
    return "it is newer than the release, and builder has no other operators in its place"


def _name_of(target: str) -> str:
    match = _OPERATOR.fullmatch(target)
    if match is None:
        # The name is printed in a message, and comes from a file.
        return re.sub(r"[^\w.]", "?", target)[:_LONGEST_NAME]
    space, name, overload = match.groups()
    return f"{space}::{name}"[:_LONGEST_NAME] + (
        "" if overload == "default" else f".{overload}"[:_LONGEST_NAME]
    )


def _kind_of(node: document.Node) -> str:
    return SYMBOLIC.get(node.outputs[0].choice[0], "") if node.outputs else ""


def _input_name(argument: Argument) -> str | None:
    kind, value = argument.choice
    if kind in SYMBOLIC:
        which, name = value.choice
        return str(name) if which == "as_name" else None
    return str(value.name) if kind in ("as_tensor", "as_custom_obj") else None
