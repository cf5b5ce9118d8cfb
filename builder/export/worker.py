"""The child process of `interpreter`, which runs one model file after the other.

It reads jobs from standard input and writes answers to the original standard output; what a model
prints goes to standard error. Before code of a model runs, the process sets the limits of the job
and, if the job says so, confines itself with the boundary of `builder.system.sandbox`.
"""

from __future__ import annotations

import os
import sys

from builder.core.hint_json import describe_hint
from builder.errors import BuilderError, VerificationError
from builder.export.capabilities import probe_torch
from builder.export.error_texts import describe_exception
from builder.system.frames import BrokenFrameError, Frame, read_frame, write_frame
from builder.system.sandbox import end_with_parent

_ANY_SIZE = 1 << 62
"""No limit in practice: jobs come from builder itself, and a list of numbers may be long."""
_LONGEST = 10_000
"""Largest number of characters of an error message."""
_TOO_LARGE = ("can't allocate memory", "bad_alloc", "not enough memory")
"""Parts of the messages of torch and C++ for missing memory (c10/core/impl/alloc_cpu.cpp)."""


def main() -> None:
    """Answers jobs until there are no more."""
    end_with_parent()
    # Keep the pipe for answers; whatever a model prints must not become a part of one.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job = read_frame(sys.stdin.buffer, limit=_ANY_SIZE, header_limit=_ANY_SIZE)
        except BrokenFrameError:
            return
        write_frame(answers, _answer(job))


def _answer(job: Frame) -> Frame:
    try:
        # An error of this import is an answer too: torch may be missing.
        probe_torch()
        from builder.export import tasks

        return tasks.answer(job)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is an answer
        return _describe_failure(error)


def _describe_failure(error: Exception) -> Frame:
    kind, message, hint = VerificationError.__name__, describe_exception(error), None
    if isinstance(error, BuilderError):
        kind, message, hint = type(error).__name__, error.message, error.hint
    # Errors of builder have the one of torch as their cause.
    if _is_for_memory(error) or _is_for_memory(error.__cause__):
        kind = MemoryError.__name__
    described = None if hint is None else describe_hint(hint)
    return Frame(header={"error": kind, "message": message[:_LONGEST], "hint": described})


def _is_for_memory(error: BaseException | None) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in _TOO_LARGE)
