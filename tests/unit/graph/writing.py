"""Graphs as text, for tests: read from it, and written to it.

A line is `%y, %z = operator(%x, 3, [1, 2], name)`; a name stands for a constant that the test
gives. `prim::If(%c)` and `prim::Loop(3, True, %x)` are followed by their blocks, indented: `then`,
`else` or `do(%i, %x)` with the nodes of the block, and `yield %y` at the end. `@` adds attributes.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from builder.graph.graph import CONSTANT, Block, Graph, Node, TensorInfo, Value
from builder.graph.program import Program
from builder.graph.tensor_arrays import to_array, to_tensor
from builder.graph.types import info_of, type_of
from builder.lite.model import Argument
from builder.lite.objects import CustomObject, List, ScriptObject, Tensor

_LINE = re.compile(
    r"(?:(?P<outputs>%[^=]*) = )?(?P<operator>[\w:.]+)\((?P<inputs>.*)\)(?: @ (?P<attributes>.*))?"
)
_TYPES = {int: "int", float: "float", bool: "bool", str: "str"}


def tensor(*values: Any, shape: tuple[int, ...] | None = None, dtype: str = "float32") -> Tensor:
    array = np.asarray(values if values else 0, dtype)
    return to_tensor(array if shape is None else array.reshape(shape))


def ramp(*shape: int) -> Tensor:
    """Returns a tensor with values between -1 and 1 that are all different."""
    count = int(np.prod(shape))
    return to_tensor((np.arange(count, dtype=np.float32) * 7 % count / count - 0.4).reshape(shape))


def values(found: object) -> Any:
    assert isinstance(found, Tensor)
    array = to_array(found)
    assert array is not None
    return array


def read_graph(text: str, *, name: str = "Net.forward", **names: Any) -> Graph:
    """Returns the graph of `text`; its first line is such as `(%self, %x: Tensor float32 1,?)`."""
    return _Reader(text, names).read(name)


def read_program(text: str, attributes: dict[str, object] | None = None, **names: Any) -> Program:
    graph = read_graph(text, **names)
    root = ScriptObject("Net", attributes or {})
    return Program(root=root, graphs={graph.name: graph}, operator_version=10)


class _Reader:
    def __init__(self, text: str, names: dict[str, Any]) -> None:
        self.lines = [line for line in text.splitlines() if line.strip()]
        self.names = names
        self.values: dict[str, Value] = {}
        self.at = 0

    def read(self, name: str) -> Graph:
        head = self.take().strip("() ")
        inputs = [self.input(part) for part in head.split(", ")]
        block = self.block(inputs, _indent(self.lines[self.at]))
        return Graph(
            name=name,
            block=block,
            arguments=tuple(Argument(value.name, value.type or "Tensor") for value in inputs),
            results=tuple(Argument("", "") for _ in block.outputs),
        )

    def take(self) -> str:
        self.at += 1
        return self.lines[self.at - 1].strip()

    def input(self, text: str) -> Value:
        name, _, kind = text.partition(": ")
        kind, *info = kind.split(" ")
        value = self.make(name, kind)
        if info:
            sizes = None
            if len(info) > 1:
                sizes = tuple(None if s == "?" else int(s) for s in info[1].split(",") if s)
            value.info = TensorInfo(None if info[0] == "?" else info[0], sizes)
        return value

    def make(self, name: str, kind: str = "") -> Value:
        assert name not in self.values, name
        self.values[name] = Value(kind, name=name[1:])
        return self.values[name]

    def block(self, inputs: list[Value], indent: int) -> Block:
        block = Block(inputs)
        while True:
            line = self.take()
            if line.startswith("yield"):
                block.outputs = [self.use(v, block) for v in _split(line.removeprefix("yield"))]
                return block
            match = _LINE.fullmatch(line)
            assert match, line
            node = Node(
                match["operator"],
                [self.use(part, block) for part in _split(match["inputs"])],
                attributes=ast.literal_eval(match["attributes"] or "{}"),
            )
            while self.at < len(self.lines) and _indent(self.lines[self.at]) > indent:
                node.blocks.append(self.inner())
            for part in _split(match["outputs"] or ""):
                name, _, kind = part.partition(": ")
                node.add_output(self.make(name, kind))
            block.nodes.append(node)

    def inner(self) -> Block:
        head = self.take()
        found = re.search(r"\((.*)\)", head)
        inputs = [self.make(name) for name in _split(found[1])] if found else []
        return self.block(inputs, _indent(self.lines[self.at]))

    def use(self, text: str, block: Block) -> Value:
        if text.startswith("%"):
            return self.values[text]
        constant = self.names[text] if text in self.names else ast.literal_eval(text)
        if isinstance(constant, list):
            constant = List(f"List[{_TYPES[type(constant[0])] if constant else 'int'}]", constant)
        output = Value(type_of(constant), info_of(constant))
        block.nodes.append(Node(CONSTANT, [], [output], {"value": constant}))
        return output


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _split(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def write_graph(graph: Graph) -> list[str]:
    """Returns the lines of a graph without its constants, which stand where they are used."""
    lines: list[str] = []
    numbers: dict[Value, str] = {value: f"%{value.name}" for value in graph.block.inputs}
    _write(graph.block, numbers, lines, "")
    return lines


def _write(block: Block, numbers: dict[Value, str], lines: list[str], indent: str) -> None:
    for node in block.nodes:
        if node.operator == CONSTANT:
            continue
        inputs = ", ".join(_show(value, numbers) for value in node.inputs)
        for value in node.outputs:
            numbers[value] = f"%{len(numbers)}"
        outputs = ", ".join(numbers[value] for value in node.outputs)
        extra = f" @ {node.attributes}" if node.attributes else ""
        lines.append(f"{indent}{outputs}{' = ' if outputs else ''}{node.operator}({inputs}){extra}")
        for inner in node.blocks:
            for value in inner.inputs:
                numbers[value] = f"%{len(numbers)}"
            inputs = ", ".join(numbers[value] for value in inner.inputs)
            lines.append(f"{indent}  block({inputs})")
            _write(inner, numbers, lines, indent + "    ")
    lines.append(f"{indent}yield {', '.join(_show(value, numbers) for value in block.outputs)}")


def _show(value: Value, numbers: dict[Value, str]) -> str:
    if not value.is_constant:
        return numbers[value]
    match value.constant:
        case Tensor() as found:
            return f"{found.dtype}{list(found.sizes)}"
        case CustomObject() as found:
            return found.class_name
        case List() as found:
            return f"{found.items}"
        case found:
            return repr(found)
