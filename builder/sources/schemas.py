"""Reads the schemas of the operators of a release."""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.errors import ConfigurationError
from builder.sources.release_facts import locate_release

_NAME = "schemas.txt"


def load_schemas(version: str | None = None) -> Schemas:
    """Returns the schemas of all operators that runtimes of a release can have.

    Args:
        version: e.g. `2.6.0`; builder's default release when None.

    Raises:
        ConfigurationError: there is no such release, or its list cannot be read.
    """
    path = locate_release(version) / _NAME
    try:
        return Schemas(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
