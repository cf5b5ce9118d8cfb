"""Reads which operators a release has, and their schemas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder.core.known import KnownOperators, parse_known
from builder.core.operator_schemas import Schemas
from builder.core.release import Release
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
    return _read_schemas(locate_release(version) / _NAME)


def _read_schemas(path: Path) -> Schemas:
    try:
        return Schemas(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def load_declared(release: Release) -> KnownOperators:
    """Returns all operators that the sources of a release have, also those without a kernel.

    Raises:
        ConfigurationError: a list of the release cannot be read.
    """
    try:
        # The operators with a kernel for the CPU, many of them without the overload.
        listed = parse_known(release.operators.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{release.operators} cannot be read: {error}") from error
    return replace(listed, exact=listed.exact.union(_read_schemas(release.folder / _NAME)))
