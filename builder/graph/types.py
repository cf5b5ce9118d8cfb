"""Types in TorchScript's syntax: of constants, of results in schemas, of items of containers."""

from __future__ import annotations

import re

from builder.graph.graph import TensorInfo
from builder.lite.objects import CustomObject, Device, Dict, List, ScriptObject, Tensor

_PLAIN = {
    type(None): "NoneType",
    bool: "bool",
    int: "int",
    float: "float",
    complex: "complex",
    str: "str",
    Tensor: "Tensor",
    Device: "Device",
}
_INTS = frozenset({"SymInt", "ScalarType", "Layout", "MemoryFormat"})
_LONGEST = 500
"""Longest text of a type, in characters: nested tuples can double it with each level."""
_VARIABLE = re.compile(r"t\w?|tVal|Any", re.ASCII)
_LIST = re.compile(r"(.*)\[\d*\]", re.ASCII | re.DOTALL)


def type_of(value: object) -> str:
    """Returns the type of a constant or an attribute; an empty text if it is unknown."""
    match value:
        case List() | Dict():
            return value.type
        case ScriptObject():
            return value.class_name
        case CustomObject():
            return f"__torch__.torch.classes.{value.class_name}"
        case tuple():
            # Only one level is looked at: a tuple of tuples has an unknown type, and the cost is
            # bounded.
            return join_tuple([_PLAIN.get(type(item), "") for item in value])
    return _PLAIN.get(type(value), "")


def info_of(value: object) -> TensorInfo | None:
    """Returns what is known about a tensor that the model holds; None for other values."""
    return TensorInfo(value.dtype, value.sizes) if isinstance(value, Tensor) else None


def join_tuple(items: list[str]) -> str:
    """Returns the type of a tuple of items; an empty text if one is unknown, or it is too long."""
    if not all(items) or sum(map(len, items)) > _LONGEST:
        return ""
    return f"Tuple[{', '.join(items) or '()'}]"


def parse_result(text: str) -> str:
    """Returns the TorchScript type of a type in a schema, such as `int[]?`; empty if it varies."""
    if text.endswith("?"):
        inner = parse_result(text[:-1])
        return inner and f"Optional[{inner}]"
    if match := _LIST.fullmatch(text):
        inner = parse_result(match[1])
        return inner and f"List[{inner}]"
    # Brackets are those of `Dict(...)` and the like, which depend on variables too.
    if _VARIABLE.fullmatch(text) or "(" in text:
        return ""
    return "int" if text in _INTS else text


def parts_of(kind: str, container: str) -> list[str]:
    """Returns what stands in the brackets of a type.

    Args:
        kind: a type, such as `Dict[str, List[int]]`.
        container: the name in front of the brackets, such as `Dict`; for another type, there are
            no parts.
    """
    if not kind.startswith(f"{container}[") or not kind.endswith("]"):
        return []
    depth, start, parts = 0, len(container) + 1, []
    for index in range(start, len(kind)):
        letter = kind[index]
        if not depth and letter in ",]":
            parts.append(kind[start:index].strip())
            start = index + 1
        depth += {"[": 1, "]": -1}.get(letter, 0)
    # `Tuple[()]` is how TorchScript writes the type of an empty tuple.
    return [part for part in parts if part != "()"]


def item_type(kind: str) -> str:
    """Returns the type of the items of a list type; an empty text if it is unknown."""
    return next(iter(parts_of(kind, "List")), "")


def result_type(operator: str, kinds: list[str]) -> str:
    """Returns the type of the result of an operator that only its inputs tell; or an empty text.

    Args:
        operator: a node without a schema, or whose schema says `t` or `Any`.
        kinds: the types of its inputs.
    """
    first = kinds[0] if kinds else ""
    match operator:
        case "prim::DictIndex":
            return next(iter(parts_of(first, "Dict")[1:]), "")
        # TorchScript writes it where an `Optional` is found not to be None.
        case "prim::unchecked_cast" | "prim::unchecked_unwrap_optional":
            return next(iter(parts_of(first, "Optional")), "")
        case "aten::__getitem__.t":
            return item_type(first)
    return ""
