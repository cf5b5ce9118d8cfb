"""Operators on numbers, bools, strings and lists, as Python computes them exactly like ATen."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sized
from typing import Final

from builder.core.operator_schemas import Schema
from builder.lite.objects import ScriptObject

MOST_ITEMS: Final = 1000
"""Of a list that is computed, and characters of a string."""
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_KINDS: Final[Mapping[str, type]] = {"float": float, "bool": bool, "str": str}
_ANY = frozenset({"t", "Any"})


class NotComputable(Exception):  # noqa: N818
    """The operator would fail, or Python's result is another than ATen's."""


def compute(schema: Schema, arguments: list[object]) -> object:
    """Returns what an operator, such as `aten::add.int`, gives for `arguments`.

    Raises:
        NotComputable: the operator is not in the table, takes other kinds of arguments, would
            fail, overflows, or its result would be longer than MOST_ITEMS.
    """
    rule = RULES.get(schema.name)
    kinds = [argument.type for argument in schema.arguments]
    if rule is None or len(kinds) != len(arguments) or not all(map(_is_of, arguments, kinds)):
        raise NotComputable
    try:
        result = rule(*arguments)
    except (ArithmeticError, IndexError, MemoryError, TypeError, ValueError) as error:
        raise NotComputable from error
    # An int that left the range of 64 bits wraps around in C++ and grows in Python.
    if not _is_of(result, schema.results[0]) or not is_flat(result):
        raise NotComputable
    if length_of(result) > MOST_ITEMS:
        raise NotComputable
    return result


def length_of(constant: object) -> int:
    """Returns how many characters a string has, or items a list; 0 for anything else."""
    return len(constant) if isinstance(constant, str | list | tuple) else 0


def is_flat(constant: object) -> bool:
    """Whether a value is no list or tuple that holds others."""
    parts = constant if isinstance(constant, list | tuple) else ()
    return not any(isinstance(part, list | tuple) for part in parts)


def _is_of(value: object, kind: str) -> bool:
    """Whether a value is of the type that a schema names, and within its range."""
    if kind.endswith("?"):
        return value is None or _is_of(value, kind[:-1])
    if kind.endswith("[]"):
        item = kind[:-2]
        return isinstance(value, list) and all(_is_of(one, item) for one in value)
    if kind == "int":
        # A bool is an int for `isinstance`, and another type for TorchScript.
        return type(value) is int and _SMALLEST <= value <= _LARGEST
    if kind == "Scalar":
        return type(value) in (float, bool) or _is_of(value, "int")
    if kind == "AnyEnumType":
        return isinstance(value, ScriptObject) and value.may_be_enum
    return type(value) is _KINDS[kind] if kind in _KINDS else kind in _ANY


def _join(left: Sized, right: Sized) -> object:
    # The check comes first: repeated doubling would fill the memory before the result is looked at.
    if len(left) + len(right) > MOST_ITEMS:
        raise NotComputable
    return operator.add(left, right)


def _in_doubles(rule: Callable[[float, float], object]) -> Callable[[float, float], object]:
    """An int beside a float is converted first, where Python compares the two exactly."""
    return lambda left, right: rule(float(left), float(right))


def _divide(left: float, right: float) -> float:
    if not right:
        raise NotComputable  # torch gives inf or nan, or an error, depending on the overload
    return float(left) / float(right)


def _floor_divide(left: int, right: int) -> int:
    return left // right


def _remainder(left: int, right: int) -> int:
    # ATen adds the divisor to what C++ leaves, which may overflow.
    if abs(right) > _LARGEST // 2 or left == _SMALLEST:
        raise NotComputable
    return left % right


def _smaller(left: float, right: float) -> float:
    # Of a zero and a negative one, or beside NaN, Python's `min` takes the other.
    return left if left < right else right


def _larger(left: float, right: float) -> float:
    return left if left > right else right


def _item(items: list[object], index: int) -> object:
    return items[index]


def _slice(items: list[object], start: int | None, end: int | None, step: int) -> list[object]:
    # TorchScript refuses negative steps, which Python takes.
    if step < 1 or len(items) > MOST_ITEMS:
        raise NotComputable
    return items[start:end:step]


def _root(base: int, exponent: float) -> float:
    # Libraries of C differ in the last digit of powers, but not where the result is a whole number.
    if exponent != 0.5 or not 0 <= base < 1 << 52 or math.isqrt(base) ** 2 != base:
        raise NotComputable
    return float(math.isqrt(base))


def _floor(value: float) -> int:
    return math.floor(value)


def _range_length(start: int, end: int, step: int) -> int:
    if not step or not _is_of(end - start, "int") or step == _SMALLEST:
        raise NotComputable
    # This is the ceiling of (end - start) / step in integers, without the rounding of floats.
    return max(0, -((start - end) // step))


def _range_item(index: int, start: int, step: int) -> int:
    return start + index * step


def _are_one_member(left: ScriptObject, right: ScriptObject) -> bool:
    """Whether two members of Enums are the same: a class has one for each value."""
    kinds = (type(left.state), type(right.state))
    return (
        # The values 1 and True are equal in Python, and members of different Enums here.
        left.class_name == right.class_name and kinds[0] is kinds[1] and left.state == right.state
    )


def _are_two_members(left: ScriptObject, right: ScriptObject) -> bool:
    return not _are_one_member(left, right)


def _member_value(member: ScriptObject) -> object:
    return member.state


def _same(value: object) -> object:
    return value


def _binary(
    symbol: str, rule: Callable[..., object], kinds: tuple[str, ...] = ("int", "float")
) -> dict[str, Callable[..., object]]:
    """Returns a rule for operands of one kind, and for an int and a float."""
    mixed = dict.fromkeys(("int_float", "float_int"), _in_doubles(rule))
    return {
        f"aten::{symbol}.{kind}": one for kind, one in (dict.fromkeys(kinds, rule) | mixed).items()
    }


_COMPARED = ("int", "float", "bool", "str", "int_list")

RULES: Final[Mapping[str, Callable[..., object]]] = {
    **_binary("add", operator.add),
    **_binary("sub", operator.sub),
    **_binary("mul", operator.mul),
    **_binary("eq", operator.eq, _COMPARED),
    **_binary("ne", operator.ne, _COMPARED),
    **_binary("lt", operator.lt),
    **_binary("le", operator.le),
    **_binary("gt", operator.gt),
    **_binary("ge", operator.ge),
    "aten::add.str": _join,
    "aten::add.t": _join,
    "aten::div.int": _divide,
    "aten::div.float": _divide,
    "aten::floordiv.int": _floor_divide,
    "aten::remainder.int": _remainder,
    "aten::eq.enum": _are_one_member,
    "aten::ne.enum": _are_two_members,
    "prim::EnumValue.int": _member_value,
    "prim::EnumValue.float": _member_value,
    "prim::EnumValue.str": _member_value,
    "aten::__and__.bool": lambda left, right: left and right,
    "aten::__or__.bool": lambda left, right: left or right,
    "aten::__not__": operator.not_,
    "aten::neg.int": operator.neg,
    "aten::neg.float": operator.neg,
    "aten::floor.float": _floor,
    "aten::floor.int": _same,
    "aten::ceil.float": math.ceil,
    "aten::ceil.int": _same,
    "aten::pow.int_float": _root,
    "aten::sqrt.int": math.sqrt,
    "aten::sqrt.float": math.sqrt,
    "aten::Float.int": float,
    "aten::Float.Scalar": float,
    "aten::Float.bool": float,
    "aten::Int.bool": int,
    "aten::Int.Scalar": int,
    "aten::Bool.int": bool,
    "aten::Bool.float": bool,
    "prim::min.int": _smaller,
    "prim::max.int": _larger,
    "prim::min.float": _smaller,
    "prim::max.float": _larger,
    "prim::min.self_int": min,
    "prim::max.self_int": max,
    "aten::len.t": len,
    "aten::__getitem__.t": _item,
    "aten::slice.t": _slice,
    "aten::list.t": list,
    "aten::__contains__.int_list": operator.contains,
    "aten::__contains__.str_list": operator.contains,
    "aten::__range_length": _range_length,
    "aten::__derive_index": _range_item,
    "prim::TupleIndex": _item,
}
