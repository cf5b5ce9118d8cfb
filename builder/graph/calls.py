"""The arguments of operators: a node has all of them, bytecode leaves trailing defaults out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builder.core.operator_schemas import Schema, SchemaArgument, Schemas
from builder.graph.graph import Value
from builder.lite.objects import List

_SCALARS = (type(None), bool, int, float, complex, str)
_UNLISTED = Schemas(
    """\
aten::Bool.Tensor(Tensor a) -> bool
prim::unchecked_cast(Any x) -> Any
prim::unchecked_unwrap_optional(Any optional) -> Any
"""
)
"""Operators that upstream registers without a plain schema, so that no release's list has them."""


def find_schema(schemas: Schemas, operator: str) -> Schema | None:
    """Returns the schema of an operator that bytecode calls; None if nobody knows it."""
    return schemas.find(operator) or _UNLISTED.find(operator)


def count_outs(schema: Schema) -> int:
    """Returns how many arguments at the end are tensors to write into (`Argument::is_out`)."""
    arguments = schema.arguments
    count = 0
    # The first argument is never one (makeOperatorFunction in mobile/function.cpp).
    while count + 1 < len(arguments) and _is_out(arguments[-1 - count]):
        count += 1
    return count


def complete(
    schema: Schema, given: Sequence[Value], constant: Callable[[object], Value]
) -> list[Value]:
    """Returns all arguments of a call, as the runtime makes them of those in bytecode.

    Args:
        schema: the operator's.
        given: what the call takes from the stack, fewer than the schema has or as many.
        constant: returns the value for a default.

    Raises:
        ValueError: an argument without default is missing.
    """
    outs = count_outs(schema)
    first = len(given) - outs
    missing = schema.arguments[max(first, 0) : len(schema.arguments) - outs]
    if first < 0 or not all(argument.has_default for argument in missing):
        raise ValueError(f"a call of {schema.name} lacks arguments")
    return [*given[:first], *(constant(default_of(one)) for one in missing), *given[first:]]


def leave_out_defaults(schema: Schema, inputs: Sequence[Value]) -> list[Value]:
    """Returns the arguments of a call without those at the end that equal their defaults."""
    end = len(inputs) - count_outs(schema)
    kept = end
    while kept > 0 and _is_default(schema.arguments[kept - 1], inputs[kept - 1]):
        kept -= 1
    return [*inputs[:kept], *inputs[end:]]


def default_of(argument: SchemaArgument) -> object:
    """Returns the default of an argument as a value of a model."""
    kind = argument.type.removesuffix("?")
    default = argument.default
    if kind.endswith("]") and default is not None:
        element, _, length = kind[:-1].partition("[")
        items = default if isinstance(default, (list, tuple)) else [default] * int(length or 1)
        return List(f"List[{_ELEMENTS.get(element, element)}]", [_cast(element, i) for i in items])
    return _cast(kind, default)


def is_same(one: object, other: object) -> bool:
    """Whether two constants are equal, type by type; tensors and objects only if they are one."""
    if isinstance(one, List) and isinstance(other, List):
        # Both print their items in full: they are short, or differ early.
        return (
            one.type == other.type
            and len(one.items) == len(other.items)
            and all(map(is_same, one.items, other.items))
        )
    if type(one) is type(other) and isinstance(one, _SCALARS):
        return repr(one) == repr(other)
    return one is other


_ELEMENTS = {"SymInt": "int"}


def _cast(kind: str, value: object) -> object:
    if kind == "float" and isinstance(value, int):
        return float(value)
    return value


def _is_out(argument: SchemaArgument) -> bool:
    return argument.keyword_only and argument.mutable


def _is_default(argument: SchemaArgument, value: Value) -> bool:
    if not argument.has_default or not value.is_constant:
        return False
    return is_same(value.constant, default_of(argument))
