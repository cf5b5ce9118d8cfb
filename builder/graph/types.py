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
    if _VARIABLE.fullmatch(text) or "(" in text:
        return ""
    return "int" if text in _INTS else text


def item_type(kind: str) -> str:
    """Returns the type of the items of a list type; an empty text if it is unknown."""
    return kind[5:-1] if kind.startswith("List[") else ""
