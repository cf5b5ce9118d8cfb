"""Writes operator lists as YAML, which torchgen reads too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from builder.core.model_facts import OperatorList
from builder.errors import ConfigurationError, Hint, Use
from builder.oplists.format import SCHEMA, YAML_SUFFIXES
from builder.system.files import write_atomically

_HEADER = (
    "# Root operators, as `builder ops` found them; `builder build` and torchgen read this file.\n"
)


def write_op_list(path: Path, op_list: OperatorList) -> None:
    """Writes `op_list` to `path` atomically."""
    write_atomically(path, render_op_list(op_list))


def is_own_list(path: Path) -> bool:
    """Returns True if builder wrote the operator list at `path`."""
    header = _HEADER.encode()
    with path.open("rb") as stream:
        return stream.read(len(header)) == header


def refuse_other_name(path: Path) -> None:
    """Raises ConfigurationError when `path` does not have a suffix of YAML."""
    if not path.name:
        raise ConfigurationError(
            "the name of the operator list is empty",
            hint=Hint("name a file, e.g. ", Use("output", "operators.yaml")),
        )
    if path.suffix.lower() not in YAML_SUFFIXES:
        raise ConfigurationError(
            f"an operator list is YAML, but the name {path} does not end in .yaml",
            hint=Hint("use ", Use("output", path.with_suffix(".yaml"))),
        )


def render_op_list(op_list: OperatorList) -> str:
    """Returns `op_list` as YAML; it is sorted, so equal lists give the same text."""
    document = {
        "include_all_operators": False,
        "include_all_non_op_selectives": False,
        "debug_info": [json.dumps(entry) for entry in _entries(op_list)],
        "operators": {
            str(operator): {
                "is_root_operator": True,
                "is_used_for_training": False,
                "include_all_overloads": False,
                "debug_info": list(op_list.operators.sources(operator)),
            }
            for operator in op_list.operators
        },
        "kernel_metadata": {},
        "custom_classes": sorted(op_list.custom_classes),
        "build_features": [],
    }
    # Lines are never folded, so a list can be searched with grep.
    text: str = yaml.safe_dump(document, sort_keys=False, width=1 << 20)
    return _HEADER + text


def _entries(op_list: OperatorList) -> Iterator[dict[str, Any]]:
    yield {
        "builder_op_list": SCHEMA,
        "bytecode_versions": sorted(op_list.bytecode_versions),
        **({"marks": sorted(op_list.marks)} if op_list.marks else {}),
        **({} if op_list.dtypes is None else {"dtypes": op_list.dtypes.to_json()}),
    }
    for origin in sorted(op_list.models):
        yield {
            "model": origin.name,
            "sha256": origin.sha256,
            "bytecode_version": origin.bytecode_version,
            **({"exporter": origin.exporter} if origin.exporter else {}),
            **({"command": origin.command} if origin.command else {}),
        }
