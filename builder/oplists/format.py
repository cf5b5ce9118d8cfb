"""How operator lists are named and numbered."""

from __future__ import annotations

from pathlib import Path

SCHEMA = 1
"""Version of the data that builder stores in `debug_info`."""
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
SUFFIXES = YAML_SUFFIXES | {".txt"}
"""Suffixes of operator lists; a file with another suffix is a model."""


def is_op_list(path: Path) -> bool:
    """Returns True if `path` has a suffix of operator lists."""
    return path.suffix.lower() in SUFFIXES
