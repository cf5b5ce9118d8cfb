"""Reading models as graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ModelError
from builder.graph.lift import lift_program
from builder.lite.read import EXPORTED, name_kind, read_lite
from builder.pt2.read import read_program
from builder.sources.schemas import load_schemas

if TYPE_CHECKING:
    from builder.graph.program import Program


def read_graphs(path: Path, *, version: str | None = None) -> Program:
    """Returns a model as graphs, one for each of its functions; nothing in the file is run.

    Args:
        path: a lite file, or a program of torch.export (`.pt2`). It must not be changed as long as
            the result is in use.
        version: the release of PyTorch that knows the operators, e.g. `2.6.0`; builder's default
            release when None.

    Raises:
        ModelError: the file cannot be read, calls an operator that the release does not know, or
            its code is not such as PyTorch writes.
        ConfigurationError: there is no such release.
    """
    schemas = load_schemas(version)
    if path.is_file() and name_kind(path) == EXPORTED:
        return read_program(path, schemas).program
    model = read_lite(path)
    try:
        return lift_program(model, schemas)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error
