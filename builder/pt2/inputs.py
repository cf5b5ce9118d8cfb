"""The inputs of a program: their names, containers, dtypes, and sizes that may vary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.core.nesting import Constant, Group, GroupKind, InputSpec, Number
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError, ModelError
from builder.pt2 import document
from builder.pt2.document import Graph, Range, Size
from builder.pt2.pytrees import NodeType, PyTree
from builder.pt2.symbols import Expression, parse_expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A size of an input."""

    size: int | None
    """The size when the program was exported; None if it is not in the file."""
    expression: Expression | None = None
    """How it depends on symbols; None for a size that never varies."""

    def __str__(self) -> str:
        return str(self.size if self.expression is None else self.expression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A part of sizes that may vary."""

    name: str
    value: int | None
    """Its value when the program was exported; None if it is not known."""
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorLeaf:
    """A tensor that a program takes."""

    dtype: str
    dimensions: tuple[Dimension, ...]

    @property
    def type(self) -> str:
        """In TorchScript's syntax."""
        return "Tensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberLeaf:
    """A number that a program takes, or one that was the same for every call."""

    type: str
    """`int`, `float`, `bool`, `str` or `NoneType`."""
    value: object
    """The value when the program was exported."""
    is_fixed: bool
    """Whether the program ignores other values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An argument of the method `forward`."""

    name: str
    tree: PyTree
    """Its containers, with their types in TorchScript's syntax."""
    leaves: tuple[TensorLeaf | NumberLeaf, ...]
    key: int | str = 0
    """Its position in the call that was exported, or its name there."""

    def spec(self, symbols: Mapping[str, int]) -> InputSpec:
        """Returns the input for the given values of symbols, in the form of the setting `inputs`.

        Raises:
            ConfigurationError: a size or a dtype cannot be described in this form.
        """
        return _make_spec(self.tree, iter(self.leaves), symbols, self.name)


def _make_spec(
    tree: PyTree,
    leaves: Iterator[TensorLeaf | NumberLeaf],
    symbols: Mapping[str, int],
    name: str,
) -> InputSpec:
    if tree.kind is NodeType.LEAF:
        return _leaf_spec(next(leaves), symbols, name)
    items = tuple(_make_spec(child, leaves, symbols, name) for child in tree.children)
    return Group(GroupKind(tree.kind.value), items, tuple(map(str, tree.keys)))


def _leaf_spec(leaf: TensorLeaf | NumberLeaf, symbols: Mapping[str, int], name: str) -> InputSpec:
    if isinstance(leaf, NumberLeaf):
        match leaf.type, leaf.value:
            case "NoneType", None:
                return Constant(None)
            case _, str() as value:
                return Constant(value)
            case _, bool() | int() | float() as value:
                return Number(value)
        raise ConfigurationError(f"the input {name} contains a {leaf.type}")
    try:
        return TensorSpec(
            DType(leaf.dtype), tuple(_evaluate(one, symbols) for one in leaf.dimensions)
        )
    except ValueError as error:
        raise ConfigurationError(f"the input {name} cannot be made: {error}") from error


def _evaluate(dimension: Dimension, symbols: Mapping[str, int]) -> int:
    if dimension.expression is None:
        assert dimension.size is not None
        return dimension.size
    return dimension.expression.evaluate(symbols)


def describe_leaf(spec: document.InputSpec, graph: Graph) -> TensorLeaf | NumberLeaf:
    """Returns what is known about an input of the user.

    Raises:
        ModelError: it has an unknown kind, or sizes that are not expressions.
    """
    kind, value = spec.choice
    if kind == "constant_input":
        return _fixed(*value.value.choice)
    kind, content = value.arg.choice
    if kind == "as_tensor" and content.name in graph.tensor_values:
        meta = graph.tensor_values[content.name]
        sizes = tuple(_parse_size(size) for size in meta.sizes)
        return TensorLeaf(dtype=meta.dtype_name, dimensions=sizes)
    if kind == "as_sym_int" and content.choice[0] == "as_name":
        size = graph.sym_int_values.get(content.choice[1])
        known = _parse_size(size).size if size else None
        return NumberLeaf(type="int", value=known, is_fixed=False)
    if kind in ("as_none", "as_int", "as_float", "as_string", "as_bool"):
        return _fixed(kind, content)
    raise ModelError(f"an input has a kind that builder does not know ({kind[3:]})")


def find_symbols(inputs: Sequence[Input], ranges: Mapping[str, Range]) -> Iterator[Symbol]:
    """Yields the symbols that sizes of inputs depend on, sorted by name."""
    found: dict[str, int | None] = {}
    tensors = (leaf for one in inputs for leaf in one.leaves if isinstance(leaf, TensorLeaf))
    for dimension in (dimension for leaf in tensors for dimension in leaf.dimensions):
        # Each once, however often an expression has it.
        names = set(dimension.expression.symbols) if dimension.expression else set()
        for name in names:
            known = found.setdefault(name, None)
            # Only an expression of one symbol can be solved for it.
            if known is None and len(names) == 1:
                found[name] = _solve(dimension, name)
    for name, value in sorted(found.items()):
        limits = ranges.get(name, Range())
        least, most = (
            # Infinity is a string in JSON.
            None if isinstance(one, str) else one
            for one in (limits.min_val, limits.max_val)
        )
        yield Symbol(name=name, value=value, least=least, most=most)


def _solve(dimension: Dimension, name: str) -> int | None:
    """Returns the value of the only symbol that gives the size, as in `2*s0+1`."""
    expression, size = dimension.expression, dimension.size
    if expression is None or size is None:
        return None
    try:
        # Two values give the line through them. The check below refuses what is not linear.
        at_zero, at_one = (expression.evaluate({name: value}) for value in (0, 1))
        if at_one == at_zero:
            return None
        value = (size - at_zero) // (at_one - at_zero)
        return value if expression.evaluate({name: value}) == size else None
    except ValueError:
        return None


def _parse_size(size: Size) -> Dimension:
    kind, value = size.choice
    if kind == "as_int":
        return Dimension(size=value)
    hint = value.hint.choice[1] if isinstance(value.hint, document.Hint) else value.hint
    try:
        expression: Expression = parse_expression(value.expr_str)
    except ValueError as error:
        raise ModelError(f"the size of an input: {error}") from None
    return Dimension(size=hint if type(hint) is int else None, expression=expression)


def _fixed(kind: str, value: object) -> NumberLeaf:
    names = {"as_int": "int", "as_float": "float", "as_string": "str", "as_bool": "bool"}
    if kind not in names:
        return NumberLeaf(type="NoneType", value=None, is_fixed=True)
    return NumberLeaf(type=names[kind], value=value, is_fixed=True)


def name_of(spec: document.InputSpec) -> str:
    """Returns the name of an input in the graph; empty for a constant without one."""
    kind, value = spec.choice
    if kind == "constant_input":
        return str(value.name)
    kind, content = value.arg.choice
    if kind == "as_tensor":
        return str(content.name)
    return str(content.choice[1]) if kind.startswith("as_sym_") else ""
