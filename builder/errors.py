"""The error type of builder, its exit codes and its hints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """Process exit codes of the command line; stable, part of the interface."""

    OK = 0
    CONFIGURATION = 2
    MODEL = 3
    SOURCES = 4
    TOOLCHAIN = 5
    NATIVE_BUILD = 6
    PACKAGING = 7
    VERIFICATION = 8
    RULES = 9
    """`builder release`: a package breaks a rule, or lacks what a model needs."""
    SIZE = 10
    """`builder release`: a library is too large, or grew too much."""
    INTERNAL = 70
    """A bug of builder (EX_SOFTWARE of <sysexits.h>)."""


@dataclass(frozen=True, slots=True)
class Use:
    """A setting that a hint names."""

    key: str
    """Its key in docs/reference/settings.md, e.g. `targets.min_api`."""
    value: object = ""
    """The value that the hint proposes; empty where it proposes none."""

    def __str__(self) -> str:
        # The comparison is with the empty string, since 0 and False are values to propose.
        return f"{self.key}={self.value}" if self.value != "" else self.key


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a hint proposes, with its arguments and settings."""

    command: str
    parts: tuple[str | Use, ...] = ()

    def __str__(self) -> str:
        return f"{self.command}({', '.join(map(str, self.parts))})"


class Hint(str):
    """A text for people in which settings and commands stand as values.

    As a string, it has the names of the Python API: `fetch(features=apple)`. The command line shows
    its own names instead: `builder fetch --feature apple`.
    """

    parts: tuple[str | Use | Run, ...]

    def __new__(cls, *parts: str | Use | Run) -> Self:
        """Returns the text of `parts`, one after the other."""
        # A hint is a string, so that code that only prints it need not know its parts.
        made = super().__new__(cls, "".join(map(str, parts)))
        made.parts = parts
        return made


class Install(str):
    """A hint that proposes to install packages of Debian or Ubuntu."""

    packages: tuple[str, ...]

    def __new__(cls, *packages: str) -> Self:
        """Returns the text for people, `apt install a b`."""
        made = super().__new__(cls, f"apt install {' '.join(packages)}")
        made.packages = packages
        return made


class BuilderError(Exception):
    """A failure that a user can act on: what failed, and the next command to type."""

    exit_code = ExitCode.CONFIGURATION

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        """What failed, with the value that made it fail."""
        self.hint = hint
        """What to do next, ideally as a `Hint`; None when there is nothing to add."""


class ConfigurationError(BuilderError):
    """An option, path or target that makes no sense."""


class ModelError(BuilderError):
    """A model file or an operator that cannot be used."""

    exit_code = ExitCode.MODEL


class SourceError(BuilderError):
    """A source that is missing, unreachable or not what its pin says."""

    exit_code = ExitCode.SOURCES


class ToolchainError(BuilderError):
    """A compiler or tool that is missing or unfit."""

    exit_code = ExitCode.TOOLCHAIN


class NativeBuildError(BuilderError):
    """Configuring, generating, compiling or linking failed."""

    exit_code = ExitCode.NATIVE_BUILD


class PackagingError(BuilderError):
    """The artifact could not be laid out."""

    exit_code = ExitCode.PACKAGING


class VerificationError(BuilderError):
    """The built thing is not what it should be."""

    exit_code = ExitCode.VERIFICATION


class RulesError(BuilderError):
    """A package of a release breaks a rule of its platform, or lacks what a model needs."""

    exit_code = ExitCode.RULES


class SizeError(BuilderError):
    """A library of a release is larger than its budget, or grew by more than is allowed."""

    exit_code = ExitCode.SIZE


def name_product(name: str, count: int) -> str:
    """Returns what an error of one of `count` products begins with; empty where it is clear."""
    return f"product {name!r}" if name and count > 1 else ""


def name_export(output: str, count: int) -> str:
    """Returns what an error of one of `count` exports begins with; empty where it is clear."""
    return f"export of {output}" if count > 1 else ""


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Puts `what` before the message of a BuilderError that the block raises; nothing if empty."""
    try:
        yield
    except BuilderError as error:
        if what:
            error.message = f"{what}: {error.message}"
            error.args = (error.message,)
        raise
