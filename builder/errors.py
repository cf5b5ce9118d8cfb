"""The error type of builder, its exit codes and its hints."""

from __future__ import annotations

from enum import IntEnum


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
    INTERNAL = 70
    """A bug of builder (EX_SOFTWARE of <sysexits.h>)."""


class BuilderError(Exception):
    """A failure that a user can act on: what failed, and the next command to type."""

    exit_code = ExitCode.CONFIGURATION

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        """What failed, with the value that made it fail."""
        self.hint = hint
        """What to do next, ideally a command to type; None when there is nothing to add."""


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
