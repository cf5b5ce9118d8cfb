"""Writes an operator list where a user wants it, and refuses what would overwrite other files."""

from __future__ import annotations

from pathlib import Path

from builder.core.model_facts import OperatorList
from builder.oplists.write import is_own_list, refuse_other_name, write_op_list
from builder.system.outputs import refuse_foreign_file, refuse_unwritable, writing_file


def refuse_list(path: Path) -> None:
    """Raises ConfigurationError when an operator list cannot be written to `path`.

    A file that exists already must be a list that builder wrote.
    """
    refuse_other_name(path)
    refuse_unwritable(path)
    refuse_foreign_file(path, is_own_list, "operator list that builder wrote")


def write_list(path: Path, op_list: OperatorList) -> None:
    """Writes `op_list` to `path`; ConfigurationError when the disk gets full."""
    with writing_file(path):
        write_op_list(path, op_list)
