"""Describes settings: the schema of `builder.yaml`, and the tables of the reference page.

All of it comes from the fields of `BuildSettings` and of the requests
(builder/core/setting_fields.py); tools/make_reference.py writes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING
from enum import Enum, EnumType
from pathlib import Path
from typing import Any, get_args

from builder import api
from builder.api.settings import (
    BuildSettings,
    GrowthSettings,
    ProofSettings,
    ReleaseSettings,
    RunSettings,
)
from builder.cli.settings_options import argument_name, option_names
from builder.core.byte_sizes import ByteSize
from builder.core.dtypes import DtypeSet
from builder.core.nesting import InputSpec
from builder.core.setting_fields import SettingField, list_settings
from builder.export.request import ExportRequest
from builder.system.machine import host_abi

_JSON_TYPES: dict[object, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string", "minLength": 1},
    Path: {"type": "string", "minLength": 1},
    InputSpec: {"type": "string", "minLength": 1},
    ByteSize: {"type": ["string", "integer"]},
    DtypeSet: {"type": ["string", "array"], "items": {"type": "string"}},
}
"""Type of a setting -> how a file writes one value; other types with `parse` are strings."""


def make_schema() -> dict[str, Any]:
    """Returns the JSON schema of `builder.yaml`."""
    build = _make_object(BuildSettings, ProofSettings)
    whole = _make_object(ReleaseSettings)["properties"]
    products = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/product"},
        "description": "Several sets of models, by name. Each has the settings that stand outside "
        "of `products`, except those that it gives itself.",
    }
    exports = {
        "type": "array",
        "items": {"$ref": "#/$defs/export"},
        "description": "Exports that make models; `builder build --export` runs them.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "builder.yaml",
        **build,
        "description": "The settings of `builder build` and `builder release`, and of the exports "
        "before them. Paths are relative to the folder of the file.",
        "properties": {**build["properties"], **whole, "products": products, "exports": exports},
        "$defs": {"export": _make_object(ExportRequest), "product": build},
    }


def list_rows(kind: type) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields key, type, default, option and effect of each setting of `kind`."""
    for one in list_settings(kind):
        key = ".".join((*one.group, one.name))
        yield f"`{key}`", _name_type(one), _name_default(one), _name_option(one), one.help


def _make_object(kind: type, *others: type) -> dict[str, Any]:
    """Returns the schema of an object with the settings of `kind` and others, nested by group."""
    root: dict[str, Any] = _open_object(kind)
    for one in (one for each in (kind, *others) for one in list_settings(each)):
        place = root
        for name in one.group:
            place = place["properties"].setdefault(name, _open_object(one.owner))
        place["properties"][one.name] = _make_value(one)
        if one.default is MISSING:
            place.setdefault("required", []).append(one.name)
    return root


def _open_object(kind: type) -> dict[str, Any]:
    text, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    return {
        "type": "object",
        "description": " ".join(text.split()),
        "properties": {},
        "additionalProperties": False,
    }


def _make_value(one: SettingField) -> dict[str, Any]:
    described = {"description": one.help}
    item = _make_item(one)
    if _is_pairs(one):
        return {"type": "object", "additionalProperties": item, **described}
    # Nothing is no choice where the default is something.
    least = {"minItems": 1} if one.default else {}
    value = {"type": "array", "items": item, **least} if one.several else item
    return {**value, **_make_default(one), **described}


def _make_item(one: SettingField) -> dict[str, Any]:
    if one.setting.lookup == "backends":
        return {"enum": [known.name for known in api.list_optional_backends()]}
    if isinstance(one.kind, EnumType):
        return {"enum": [str(value) for value in list[Any](one.kind)]}
    if _is_pairs(one):
        return dict(_JSON_TYPES[get_args(one.kind)[1]])
    bounds = {"minimum": one.setting.least, "maximum": one.setting.most}
    return {
        **_JSON_TYPES.get(one.kind, _JSON_TYPES[str]),
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }


def _make_default(one: SettingField) -> dict[str, Any]:
    default = one.setting.absent or one.default
    if default is MISSING or default in (None, "", (), frozenset(), (host_abi(),)):
        return {}
    is_text = isinstance(default, Enum | Path)
    return {"default": str(default) if is_text else default}


def _is_pairs(one: SettingField) -> bool:
    return one.kind is not InputSpec and len(get_args(one.kind)) == 2


def _name_type(one: SettingField) -> str:
    item = _make_item(one)
    kinds = item.get("type", "")
    name = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if one.kind is DtypeSet:
        return "string or list of strings"
    if "enum" in item:
        name = ", ".join(f"`{value}`" for value in item["enum"])
    if "minimum" in item or "maximum" in item:
        name += f" from {item.get('minimum')}"
        name += f" to {item['maximum']:,}" if "maximum" in item else ""
    if _is_pairs(one):
        return f"object of {name}s"
    if not one.several:
        return name
    return f"list of {name}" if "enum" in item else f"list of {name}s"


def _name_default(one: SettingField) -> str:
    if one.default is MISSING:
        return "required" if not one.group else "required in its group"
    if one.default == (host_abi(),):
        return "this machine's"
    default = _make_default(one).get("default")
    if default is None:
        return "-"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _name_option(one: SettingField) -> str:
    if argument_name(one):
        return "the argument"
    if one.owner in {GrowthSettings, RunSettings} or one.path[0] == "check":
        return "-"
    if one.setting.lookup == "backends":
        return ", ".join(f"`--{known.name}`" for known in api.list_optional_backends())
    listed = ", ".join(option_names(one)).replace("/", ", ")
    variable = f" (or `{one.setting.environment}`)" if one.setting.environment else ""
    return ", ".join(f"`{part}`" for part in listed.split(", ")) + variable
