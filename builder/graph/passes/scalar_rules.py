"""Operators on numbers, bools, strings and lists, as Python computes them exactly like ATen."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

from builder.lite.objects import ScriptObject

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class NotComputable(Exception):  # noqa: N818
    """The operator would fail, or Python's result is another than ATen's."""


def compute(name: str, arguments: list[object]) -> object:
    """Returns what the operator `name`, such as `aten::add.int`, gives for `arguments`.

    Raises:
        NotComputable: the operator is not in the table, would fail, or overflows.
    """
    rule = RULES.get(name)
    if rule is None:
        raise NotComputable
    try:
        result = rule(*arguments)
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise NotComputable from error
    if type(result) is int and not _SMALLEST <= result <= _LARGEST:
        raise NotComputable
    return result


def _divide(left: float, right: float) -> float:
    if not right:
        raise NotComputable  # torch gives inf or nan, or an error, depending on the overload
    return left / right


def _floor_divide(left: float, right: float) -> float:
    return left // right


def _item(items: list[object] | tuple[object, ...], index: int) -> object:
    return items[index]


def _slice(
    items: list[object], start: int | None = None, end: int | None = None, step: int = 1
) -> list[object]:
    return items[start:end:step]


def _floor(value: float) -> int:
    return math.floor(value)


def _range_length(start: int, end: int, step: int) -> int:
    return len(range(start, end, step))


def _range_item(index: int, start: int, step: int) -> int:
    return start + index * step


def _are_one_member(left: ScriptObject, right: ScriptObject) -> bool:
    """Whether two members of Enums are the same: a class has one for each value."""
    kinds = (type(left.state), type(right.state))
    return (
        left.class_name == right.class_name and kinds[0] is kinds[1] and left.state == right.state
    )


def _are_two_members(left: ScriptObject, right: ScriptObject) -> bool:
    return not _are_one_member(left, right)


def _member_value(member: ScriptObject) -> object:
    return member.state


def _same(value: object) -> object:
    return value


def _binary(
    symbol: str, rule: Callable[[float, float], object], kinds: tuple[str, ...]
) -> dict[str, Callable[..., object]]:
    return {f"aten::{symbol}.{kind}": rule for kind in kinds}


_NUMBERS = ("int", "float", "int_float", "float_int")
_COMPARED = (*_NUMBERS, "bool", "str")

RULES: Final[Mapping[str, Callable[..., object]]] = {
    **_binary("add", operator.add, ("int", "float", "int_float", "float_int", "str", "t")),
    **_binary("sub", operator.sub, _NUMBERS),
    **_binary("mul", operator.mul, _NUMBERS),
    **_binary("div", _divide, ("int", "float")),
    **_binary("floordiv", _floor_divide, ("int",)),
    **_binary("remainder", operator.mod, ("int",)),
    **_binary("eq", operator.eq, (*_COMPARED, "int_list")),
    **_binary("ne", operator.ne, (*_COMPARED, "int_list")),
    **_binary("lt", operator.lt, _NUMBERS),
    **_binary("le", operator.le, _NUMBERS),
    **_binary("gt", operator.gt, _NUMBERS),
    **_binary("ge", operator.ge, _NUMBERS),
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
    "aten::sqrt.int": math.sqrt,
    "aten::sqrt.float": math.sqrt,
    "aten::Float.int": float,
    "aten::Float.Scalar": float,
    "aten::Float.bool": float,
    "aten::Int.bool": int,
    "aten::Int.Scalar": int,
    "aten::Bool.int": bool,
    "aten::Bool.float": bool,
    "prim::min.int": min,
    "prim::max.int": max,
    "prim::min.float": min,
    "prim::max.float": max,
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
