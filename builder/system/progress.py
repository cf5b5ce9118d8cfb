"""The interface for reports of progress; how they are shown is decided elsewhere."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of stages; the command line implements it."""

    def step(self, text: str) -> None:
        """Announces the next stage."""

    def note(self, text: str) -> None:
        """Shows a message once, such as a choice that was made for the user."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Reports that `done` of `total` in the current stage are ready, and `what` is next."""


class Silent:
    """A Progress that shows nothing."""

    def step(self, text: str) -> None:
        """Ignores `text`."""

    def note(self, text: str) -> None:
        """Ignores `text`."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Ignores the progress."""
