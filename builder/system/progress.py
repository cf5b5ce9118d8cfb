"""The interface for reports of progress; how they are shown is decided elsewhere."""

from __future__ import annotations

from typing import Protocol

from builder.errors import Hint


class Progress(Protocol):
    """Receives the progress of stages; the command line implements it."""

    def step(self, text: str) -> None:
        """Announces the next stage."""

    def note(self, text: str) -> None:
        """Shows a message once, such as a choice that was made for the user.

        Of a `Hint`, the command line shows settings and commands with its own names.
        """

    def advance(self, done: int, total: int, what: str) -> None:
        """Reports that `done` of `total` in the current stage are ready, and `what` is next."""


class Titled:
    """A Progress that says whose stages it reports, where several are made at once."""

    def __init__(self, progress: Progress, title: str) -> None:
        """Puts `title` in front of what `progress` is told."""
        self._progress, self._title = progress, title

    def step(self, text: str) -> None:
        """Announces the next stage."""
        self._progress.step(f"{self._title}: {text}")

    def note(self, text: str) -> None:
        """Shows a message once."""
        self._progress.note(Hint(f"{self._title}: ", text))

    def advance(self, done: int, total: int, what: str) -> None:
        """Reports progress as it is: what compiles may be for others too."""
        self._progress.advance(done, total, what)


class Silent:
    """A Progress that shows nothing."""

    def step(self, text: str) -> None:
        """Ignores `text`."""

    def note(self, text: str) -> None:
        """Ignores `text`."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Ignores the progress."""
