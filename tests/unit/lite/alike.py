"""Compares models by their content: values, and which places share one object."""

from __future__ import annotations

import struct
from dataclasses import fields

from builder.lite.model import LiteModel
from builder.lite.objects import (
    CustomObject,
    Dict,
    List,
    ScriptObject,
    Storage,
    Tensor,
)


def find_difference(one: LiteModel, other: LiteModel, *, leave_out: tuple[str, ...] = ()) -> str:
    """Returns where two models differ first, as a path; empty when they are alike."""
    pairs: dict[int, int] = {}
    for field in fields(LiteModel):
        if field.name in leave_out:
            continue
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("extra_files", "records"):
            left, right = dict(left), dict(right)
            if left != right:
                return field.name
            continue
        where = _differ(left, right, field.name, pairs)
        if where:
            return where
    return ""


def differ(one: object, other: object) -> str:
    """Returns where two values differ first; empty when they are alike."""
    return _differ(one, other, "value", {})


def _differ(one, other, where, pairs):
    if type(one) is not type(other):
        return f"{where}: {type(one)} and {type(other)}"
    if isinstance(one, (List, Dict, ScriptObject, CustomObject, Tensor, Storage)):
        if id(one) in pairs or id(other) in pairs.values():
            return "" if pairs.get(id(one)) == id(other) else f"{where}: shared otherwise"
        pairs[id(one)] = id(other)
    if isinstance(one, Storage):
        same = _describe(one) == _describe(other)
    elif isinstance(one, float | complex):
        same = struct.pack("<2d", one.real, one.imag) == struct.pack("<2d", other.real, other.imag)
    else:
        parts = _parts(one)
        if parts is not None:
            return _differ_in_parts(parts, _parts(other), where, pairs)
        same = one == other
    return "" if same else f"{where}: {one!r:.80} and {other!r:.80}"


def _describe(storage):
    return storage.dtype, storage.elements, storage.location, bytes(storage.read())


def _parts(value):
    """Returns name -> part; None for values without parts."""
    if isinstance(value, dict):
        return value
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _differ_in_parts(one, other, where, pairs):
    if list(one) != list(other):
        return f"{where}: {list(one)!r:.80} and {list(other)!r:.80}"
    found = (_differ(one[name], other[name], f"{where}.{name}", pairs) for name in one)
    return next(filter(None, found), "")
