"""Telling the user what goes on, without deciding how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What stages report to; the command line renders it."""

    def step(self, text: str) -> None:
        """Announces the next stage."""

    def note(self, text: str) -> None:
        """Says something worth knowing once, such as a choice made for the user."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Reports `done` of `total` within the current stage; `what` is being worked on."""


class Silent:
    """A Progress that shows nothing."""

    def step(self, text: str) -> None:
        """Ignores `text`."""

    def note(self, text: str) -> None:
        """Ignores `text`."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Ignores it."""
