"""What ended a command: described once, and shown as text and as JSON.

Only a command that fails imports this module.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from builder.cli.commands import COMMANDS
from builder.cli.defects import describe_defect
from builder.cli.hints import show_hint
from builder.errors import BuilderError, ExitCode
from builder.system.files import describe_absent, leads_nowhere
from builder.system.folders import cache_folder
from builder.system.own_cache import OTHER_CACHE

INTERRUPTED = 130
"""As shells report SIGINT: 128 + 2."""
_LONGEST = 2_000
"""Characters of a line of a message."""
_LOOP = "Symlink loop from "
"""What `Path.resolve` says before Python 3.13, in a RuntimeError."""
_CLICK_SENTENCE = r"(?:Argument|Could not|Got|Invalid|Missing|No such|Option|Value)\b"
"""How click's own messages begin; others may begin with the name of a file, which is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as users and programs see it; builder/schemas/error.json describes its JSON."""

    exit_code: int
    message: str
    hint: str | None = None

    @property
    def code(self) -> str:
        """The kind of the error in one word: the name of its exit code in lower case."""
        is_known = self.exit_code in set(ExitCode)
        return ExitCode(self.exit_code).name.lower() if is_known else "interrupted"

    def to_json(self) -> dict[str, object]:
        """Returns the fields that stand below `error` in the JSON of every command."""
        return {
            "code": self.code,
            "exit_code": int(self.exit_code),
            "hints": [self.hint] if self.hint else [],
            "message": self.message,
        }


def describe_failure(error: BaseException) -> Failure:
    """Returns what the user is told of an error; an unexpected one is a bug of builder."""
    match error:
        case click.ClickException():
            return _describe_usage(error)
        # click turns Ctrl-C into Abort in places.
        case click.Abort() | KeyboardInterrupt():
            message = "interrupted; run the same command again to continue"
            return Failure(exit_code=INTERRUPTED, message=message)
        case BuilderError():
            hint = show_typed(error.hint) if error.hint else None
            return Failure(exit_code=error.exit_code, message=_cut(error.message), hint=hint)
        case OSError():
            return _describe_system_error(error)
        case RuntimeError() if str(error).startswith(_LOOP):
            message = f"a path leads through a loop of links: {str(error).removeprefix(_LOOP)}"
            return Failure(exit_code=ExitCode.CONFIGURATION, message=message)
    message, hint = describe_defect(error)
    return Failure(exit_code=ExitCode.INTERNAL, message=message, hint=hint)


def _describe_system_error(error: OSError) -> Failure:
    """Returns what the system refused; what is said of links and of the cache is builder's."""
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    message = f"{error.strerror or error}" + (f": {path}" if path else "")
    hint = "free some space" if error.errno == errno.ENOSPC else None
    if path is not None:
        if leads_nowhere(path):
            message = f"{path} {describe_absent(path)}"
        cache = cache_folder()
        is_of_cache = path.is_relative_to(cache) or cache.is_relative_to(path)
        # Where the cache is there and can be written, something else is wrong in it.
        if is_of_cache and not os.access(cache, os.R_OK | os.W_OK | os.X_OK):
            message = f"the cache {cache} cannot be used: {message}"
            hint = OTHER_CACHE
    return Failure(exit_code=ExitCode.CONFIGURATION, message=message, hint=hint)


def _describe_usage(error: click.ClickException) -> Failure:
    """Returns what is wrong with the arguments in the style of all other errors."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = "builder" if context is None else context.command_path
    message = error.format_message()
    return Failure(
        exit_code=ExitCode.CONFIGURATION,
        message=re.sub(_CLICK_SENTENCE, lambda start: start[0].lower(), message).removesuffix("."),
        hint=f"see how it is used: {command} --help",
    )


def _cut(message: str) -> str:
    """Returns a message whose lines are not as long as the values of foreign files may be."""
    lines = message.split("\n")
    return "\n".join(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..." for one in lines)


def show_typed(text: str) -> str:
    """Returns a text as users of the command that runs write settings and commands."""
    # The options of the group are flags, so the first other word is the command.
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return show_hint(text, command) if command in COMMANDS else text
