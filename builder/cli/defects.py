"""Describes unexpected errors, which are bugs of builder."""

from __future__ import annotations

import platform
import shlex
import sys
import traceback
from pathlib import Path

from builder import __version__


def format_traceback(error: BaseException) -> str:
    """Returns the traceback of an error, as Python prints it."""
    return "".join(traceback.format_exception(error))


def describe_defect(error: BaseException) -> tuple[str, str]:
    """Returns message and hint for an unexpected error; the hint lists what to report."""
    package = Path(__file__).parents[1]
    steps = traceback.extract_tb(error.__traceback__)
    inside = [step for step in steps if Path(step.filename).is_relative_to(package)]
    # Only the innermost line of builder's own is shown; --debug shows all.
    where = [f"{Path(s.filename).relative_to(package.parent)}:{s.lineno}" for s in inside[-1:]]
    kind = type(error).__name__
    what = f"{kind}: {error}" if str(error) else kind
    command = shlex.join(["builder", *sys.argv[1:]])
    machine = f"{platform.system()} {platform.machine()}"
    return (
        f"this is a bug of builder: {', '.join((what, *where))}",
        "please report it with the input file and these lines:\n"
        f"  builder {__version__}, Python {platform.python_version()}, {machine}\n"
        f"  {command}\n"
        f"and with the output of: {shlex.join(['builder', '--debug', *sys.argv[1:]])}",
    )
