"""Arithmetic of sizes: Python's operators on symbolic numbers, as operators of TorchScript."""

from __future__ import annotations

from collections.abc import Sequence

from builder.graph.graph import IF, Block, Node, Value
from builder.pt2.graph_builder import GraphBuilder
from builder.pt2.kinds import Kind, Operand, UnsupportedError

_BINARY = {
    "add": "aten::add",
    "sub": "aten::sub",
    "mul": "aten::mul",
    "floordiv": "aten::floordiv",
    "mod": "aten::remainder",
    "truediv": "aten::div",
    "pow": "aten::pow",
    "eq": "aten::eq",
    "ne": "aten::ne",
    "lt": "aten::lt",
    "le": "aten::le",
    "gt": "aten::gt",
    "ge": "aten::ge",
    "and_": "aten::__and__",
    "or_": "aten::__or__",
    "xor": "aten::__xor__",
    "lshift": "aten::__lshift__",
    "rshift": "aten::__rshift__",
    "sym_max": "prim::max",
    "sym_min": "prim::min",
}
_UNARY = {
    "neg": "aten::neg",
    "trunc": "aten::Int",
    "floor": "aten::floor",
    "ceil": "aten::ceil",
    "sqrt": "aten::sqrt",
    "sym_int": "aten::Int",
    "sym_float": "aten::Float",
    "sym_sqrt": "aten::sqrt",
    "_sym_sqrt": "aten::sqrt",
    "abs": "prim::abs",
}
_MODULES = frozenset({"_operator", "operator", "math", "torch", "builtins"})


def is_scalar_target(target: str) -> bool:
    """Returns whether a node of a program calls a function of Python on numbers."""
    module, _, name = target.rpartition(".")
    known = name in _BINARY or name in _UNARY or name in ("pos", "sym_not", "sym_ite", "not_")
    return module in _MODULES and known


def add_scalar(
    graph_builder: GraphBuilder, target: str, operands: Sequence[Operand], kind: str
) -> Value:
    """Adds a function of Python on numbers, and returns the result.

    Args:
        graph_builder: the graph.
        target: the function, such as `_operator.add`.
        operands: ints, floats and bools.
        kind: the type of the result.

    Raises:
        UnsupportedError: TorchScript has no such operator.
    """
    name = target.rpartition(".")[2]
    values = [graph_builder.as_value(operand) for operand in operands]
    types = [value.type for value in values]
    match name, types:
        case "pos", [_]:
            return values[0]
        case "sym_not" | "not_", ["bool"]:
            return graph_builder.value("aten::__not__", *values)
        case "sym_ite", ["bool", _, _]:
            return _choose(graph_builder, *values)
        # `aten::pow.int` returns a float, and sizes have to stay integers.
        case "pow", ["int", "int"] if kind == "int":
            return graph_builder.value("aten::pow.int_to_int", *values)
        case _, [one] if name in _UNARY:
            # The type is already that which is wanted, as in int(3).
            if _UNARY[name].lower() == f"aten::{one}":
                return values[0]
            return graph_builder.value(f"{_UNARY[name]}.{one}", *values)
        case _, [_, _] if name in _BINARY:
            return _combine(graph_builder, _BINARY[name], values)
    raise UnsupportedError(f"no operator takes {', '.join(types) or 'nothing'}")


def _combine(graph_builder: GraphBuilder, operator: str, values: Sequence[Value]) -> Value:
    left, right = (value.type for value in values)
    overload = left if left == right else f"{left}_{right}"
    # TorchScript names the overloads after the types: `int`, `float`, `int_float`.
    if graph_builder.schemas.find(f"{operator}.{overload}"):
        return graph_builder.value(f"{operator}.{overload}", *values)
    # Others, such as a bool and an int, or the division of a float by an int.
    common = "float" if "float" in (left, right) else "int"
    both = [graph_builder.lower(value, Kind(common, optional=False)) for value in values]
    return graph_builder.value(f"{operator}.{common}", *both)


def _choose(graph_builder: GraphBuilder, condition: Value, first: Value, second: Value) -> Value:
    blocks = [Block(outputs=[first]), Block(outputs=[second])]
    node = Node(IF, [condition], [Value(first.type)], blocks=blocks)
    graph_builder.block.nodes.append(node)
    return node.output
