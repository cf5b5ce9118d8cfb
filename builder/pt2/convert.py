"""Turns the nodes of a program into nodes of a graph."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import IF, Block, Node, TensorInfo, Value
from builder.lite.objects import Device
from builder.pt2 import document
from builder.pt2.decompositions import DECOMPOSITIONS, DROPPED
from builder.pt2.document import STRIDED, Argument, Subgraph, TensorMeta
from builder.pt2.emit import Emitter, Kind, Operand, UnsupportedError
from builder.pt2.scalars import emit_scalar, is_scalar_target

_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", re.ASCII)
_HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.(\w+)", re.ASCII)
_MEMORY_FORMATS = {1: 0, 2: 2, 3: 3, 4: 1}
"""MemoryFormat of schema.py -> that of c10/core/MemoryFormat.h."""
_SYMBOLIC = {"as_sym_int": "int", "as_sym_float": "float", "as_sym_bool": "bool"}
_DEEPEST = 12
_LONGEST_NAME = 100

ABSENT = Value("NoneType")
"""Stands for a result of an operator that the operators in its place do not have."""
_ITEMS = frozenset({"aten::item", "aten::_local_scalar_dense"})

Scope = dict[str, Operand]
"""Names of a graph -> their values."""


@dataclass(slots=True, eq=False)
class Converter:
    """Adds the nodes of programs to a graph, and collects what cannot be added."""

    emitter: Emitter
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

    def operand(self, argument: Argument, scope: Scope) -> Operand:
        """Returns the operand that an argument or an output describes.

        Raises:
            UnsupportedError: no value has its name, or builder does not know its kind.
        """
        return self._read(*argument.choice, scope)

    def _operand(self, argument: Argument, scope: Scope) -> Operand:
        try:
            return self.operand(argument, scope)
        except UnsupportedError as error:
            self.problems[f"an output: {error}"] += 1
            return None

    def _convert(self, node: document.Node, scope: Scope) -> list[Operand]:
        """Adds one node, and returns its results."""
        if match := _HIGHER_ORDER.fullmatch(node.target):
            return self._higher_order(match[1], node, scope)
        if is_scalar_target(node.target):
            operands = [self.operand(one.arg, scope) for one in node.inputs]
            return [emit_scalar(self.emitter, node.target, operands, _kind_of(node))]
        match = _OPERATOR.fullmatch(node.target)
        if match is None:
            raise UnsupportedError("builder does not know this function")
        space, name, overload = match.groups()
        operator = f"{space}::{name}" + ("" if overload == "default" else f".{overload}")
        if operator in DROPPED:
            return []
        named = {one.name: self.operand(one.arg, scope) for one in node.inputs}
        if operator in _ITEMS and (kind := _kind_of(node)):
            # A number of the type that the program says; item() itself returns a Scalar.
            return [self.emitter.value(f"aten::{kind.capitalize()}.Tensor", named.get("self"))]
        return self._call(operator, named)

    def _call(self, operator: str, named: Mapping[str, Operand]) -> list[Operand]:
        row = DECOMPOSITIONS.get(operator)
        if row is not None:
            try:
                bound = inspect.signature(row).bind(self.emitter.value, **named)
            except TypeError:
                raise UnsupportedError(
                    "it does not have the arguments that builder knows"
                ) from None
            result = row(*bound.args, **bound.kwargs)
            if not isinstance(result, tuple):
                return [result]
            return [ABSENT if one is None else one for one in result]
        if self.emitter.schemas.find(operator) is None:
            raise UnsupportedError(_why_missing(operator, self.emitter))
        return list(self.emitter.call(operator, **named))

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
                items = self.emitter.add("prim::ListUnpack", [result], ["Tensor"] * len(names))
            elif isinstance(result, list):
                items = result
            if len(items) != len(names):
                raise UnsupportedError(f"it has {len(items)} results and not {len(names)}")
            for name, item in zip(names, items, strict=True):
                scope[name] = self._describe(name, item)
        elif kind == "as_tensor":
            scope[value.name] = self._describe(value.name, result)
        elif kind in _SYMBOLIC:
            which, name = value.choice
            if which == "as_name":
                scope[name] = self._narrow(result, _SYMBOLIC[kind])
        # `as_none` is a result that does not exist; others have no name either.

    def _describe(self, name: str, result: Operand) -> Operand:
        """Adds to a tensor its name, dtype and sizes."""
        if not isinstance(result, Value):
            return Value("Tensor", name=name) if result is None else result
        if result.info is None and (meta := self.tensors.get(name)):
            result.info = describe(meta)
        result.name = result.name or name
        return result

    def _narrow(self, result: Operand, kind: str) -> Operand:
        """Returns a number of the type that the program says, such as an int for a Scalar."""
        if result is None:
            return Value(kind)
        if isinstance(result, Value):
            return self.emitter.lower(result, Kind(kind, optional=False))
        return result

    def _read(self, kind: str, value: Any, scope: Scope) -> Operand:  # noqa: ANN401, C901
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                return _look_up(value.name, scope)
            case "as_tensors":
                return [_look_up(one.name, scope) for one in value]
            case "as_nested_tensors":
                return [[_look_up(one.name, scope) for one in inner] for inner in value]
            case "as_int" | "as_float" | "as_string" | "as_bool":
                return _check(value)
            case "as_ints" | "as_floats" | "as_strings" | "as_bools" | "as_int_lists":
                return [_check(item) for item in value]
            case "as_complex":
                return complex(value.real, value.imag)
            case "as_sym_int" | "as_sym_float" | "as_sym_bool" | "as_optional_tensor":
                inner, content = value.choice
                if inner == "as_name":
                    return _look_up(content, scope)
                return self._read(inner, content, scope)
            case "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors":
                one = {"as_optional_tensors": "as_optional_tensor"}.get(kind, kind[:-1])
                return [self._read(one, item, scope) for item in value]
            case "as_scalar_type":
                name = TensorMeta(value, [], [], document.Size(as_int=0), _CPU, STRIDED).dtype_name
                if name not in SCALAR_TYPES:
                    raise UnsupportedError(f"no runtime has {name}")
                return SCALAR_TYPES.index(name)
            case "as_memory_format" if value in _MEMORY_FORMATS:
                return _MEMORY_FORMATS[value]
            case "as_layout" if value == STRIDED:
                return 0  # kStrided of c10/core/Layout.h
            case "as_device":
                return self._device(value)
        raise UnsupportedError(f"builder does not know arguments like this one ({kind[3:]})")

    def _device(self, device: document.Device) -> Device:
        if device.type == "meta":
            raise UnsupportedError("a tensor on the device meta has no values")
        if device.type != "cpu":
            self.devices.add(device.type[:_LONGEST_NAME])
        return Device("cpu")

    def _higher_order(self, name: str, node: document.Node, scope: Scope) -> list[Operand]:
        arguments: list[Any] = [
            argument.arg.as_graph
            if argument.arg.choice[0] == "as_graph"
            else self.operand(argument.arg, scope)
            for argument in node.inputs
        ]
        match name, arguments:
            case "cond", [condition, Subgraph() as yes, Subgraph() as no, *operands]:
                return self._cond(condition, yes, no, _flatten(operands))
            case "while_loop", [Subgraph() as test, Subgraph() as body, carried, *others]:
                return self._loop(test, body, _flatten([carried]), _flatten(others))
            case "wrap_with_set_grad_enabled", [_, Subgraph() as inner, *operands]:
                return self._inline(inner, operands)
            case "wrap_with_autocast", [_, _, enabled, _, Subgraph() as inner, *operands]:
                if enabled is not False:
                    raise UnsupportedError(
                        "automatic mixed precision chooses dtypes at run time; export without it"
                    )
                return self._inline(inner, operands)
            case "tag_activation_checkpoint" | "wrap", [Subgraph() as inner, *operands]:
                return self._inline(inner, operands)
            case "invoke_subgraph", [Subgraph() as inner, str(), *operands]:
                return self._inline(inner, operands)
        raise UnsupportedError("builder does not convert this higher-order operator")

    def _inline(self, subgraph: Subgraph, operands: Sequence[Operand]) -> list[Operand]:
        graph = subgraph.graph
        if len(graph.inputs) != len(operands):
            raise UnsupportedError(f"{len(operands)} arguments for {len(graph.inputs)} inputs")
        if self._depth >= _DEEPEST:
            raise UnsupportedError("graphs are nested too deeply")
        names = (_input_name(one) for one in graph.inputs)
        scope: Scope = {
            name: operand for name, operand in zip(names, operands, strict=True) if name is not None
        }
        self._depth += 1
        try:
            return self.convert(graph, scope)
        finally:
            self._depth -= 1

    def _inline_values(self, subgraph: Subgraph, operands: Sequence[Operand]) -> list[Value]:
        results = self._inline(subgraph, operands)
        return [self.emitter.as_value(result) for result in results]

    def _cond(
        self, condition: Operand, yes: Subgraph, no: Subgraph, operands: Sequence[Operand]
    ) -> list[Operand]:
        if isinstance(condition, bool):
            return self._inline(yes if condition else no, operands)
        test = self._truth(condition)
        outer = self.emitter.block
        blocks = [Block(), Block()]
        for block, branch in zip(blocks, (yes, no), strict=True):
            self.emitter.block = block
            try:
                block.outputs = self._inline_values(branch, operands)
            finally:
                self.emitter.block = outer
        types = [[value.type for value in block.outputs] for block in blocks]
        if types[0] != types[1]:
            raise UnsupportedError("its branches have results of different types")
        node = Node(IF, [test], [Value(kind) for kind in types[0]], blocks=blocks)
        outer.nodes.append(node)
        return list(node.outputs)

    def _loop(
        self,
        test: Subgraph,
        body: Subgraph,
        carried: Sequence[Operand],
        others: Sequence[Operand],
    ) -> list[Operand]:
        """Adds a loop that tests in its turns, so that both graphs are converted only once."""
        start = [self.emitter.as_value(one) for one in carried]
        inside = [Value(value.type, value.info) for value in start]
        block = Block(inputs=[Value("int"), *inside])
        outer, self.emitter.block = self.emitter.block, block
        try:
            (result,) = self._inline_values(test, [*inside, *others])
            go_on = self._truth(result)
            turn = Block()
            self.emitter.block = turn
            turn.outputs = self._inline_values(body, [*inside, *others])
        except ValueError:
            raise UnsupportedError("its condition has more than one result") from None
        finally:
            self.emitter.block = outer
        if [value.type for value in turn.outputs] != [value.type for value in inside]:
            raise UnsupportedError("its body changes the types of its values")
        choice = Node(
            IF,
            [go_on],
            [Value(value.type, value.info) for value in inside],
            blocks=[turn, Block(outputs=list(inside))],
        )
        block.nodes.append(choice)
        block.outputs = [go_on, *choice.outputs]
        most = self.emitter.constant((1 << 63) - 1, "int")
        always = self.emitter.constant(True, "bool")
        loop = Node(
            "prim::Loop",
            [most, always, *start],
            [Value(value.type, value.info) for value in inside],
            blocks=[block],
        )
        outer.nodes.append(loop)
        return list(loop.outputs)

    def _truth(self, operand: Operand) -> Value:
        return self.emitter.lower(operand, Kind("bool", optional=False))


_CPU = document.Device("cpu")


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
    is_scalar = all(output.type in ("int", "float", "bool", "number") for output in node.outputs)
    return is_scalar and bool(node.outputs) and not node.blocks


def _why_missing(operator: str, emitter: Emitter) -> str:
    space = operator.partition("::")[0]
    if space not in ("aten", "prim", "prims"):
        return "it is a custom operator, whose code a runtime does not have"
    base = operator.partition(".")[0]
    if any(name.partition(".")[0] == base for name in emitter.schemas):
        return "the release has other overloads only"
    return "it is newer than the release, and builder has no other operators in its place"


def _name_of(target: str) -> str:
    match = _OPERATOR.fullmatch(target)
    if match is None:
        return re.sub(r"[^\w.]", "?", target)[:_LONGEST_NAME]
    space, name, overload = match.groups()
    return f"{space}::{name}"[:_LONGEST_NAME] + (
        "" if overload == "default" else f".{overload}"[:_LONGEST_NAME]
    )


def _kind_of(node: document.Node) -> str:
    return _SYMBOLIC.get(node.outputs[0].choice[0], "") if node.outputs else ""


def _look_up(name: str, scope: Scope) -> Operand:
    if name not in scope:
        raise UnsupportedError(f"no value is called {name!r:.80}")
    if scope[name] is ABSENT:
        raise UnsupportedError(f"{name!r:.80} is a result for training, which was left out")
    return scope[name]


def _check(value: Operand) -> Operand:
    if isinstance(value, list):
        return [_check(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise UnsupportedError("a number does not fit into 64 bits")
    return value


def _input_name(argument: Argument) -> str | None:
    kind, value = argument.choice
    if kind in _SYMBOLIC:
        which, name = value.choice
        return str(name) if which == "as_name" else None
    return str(value.name) if kind in ("as_tensor", "as_custom_obj") else None


def _flatten(operands: Iterable[Operand]) -> list[Operand]:
    return list(_leaves(operands))


def _leaves(operands: Iterable[Operand]) -> Iterator[Operand]:
    for operand in operands:
        if isinstance(operand, list | tuple):
            yield from _leaves(operand)
        else:
            yield operand
