"""The options of commands that read the file of `builder lock`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.api.settings import LOCK
from builder.cli.option_types import PathType

if TYPE_CHECKING:
    from builder.api.build_locks import LockedProduct
    from builder.cli.configured import ChosenProduct, ConfigurationAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class LockAsked:
    """What the command line says about a lock."""

    is_asked: bool
    """Whether a lock counts."""
    path: Path | None
    """The file; None where it is not named."""


def lock_options(effect: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options about a lock, whose effect the help says; their values are `lock`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_lock(lock: Path | None, locked: bool, **given: object) -> object:
            asked = LockAsked(is_asked=locked or lock is not None, path=lock)
            return command(lock=asked, **given)

        for option in (
            click.option(
                "--lock",
                type=PathType(dir_okay=False),
                metavar="FILE",
                help="The same with this lock.",
            ),
            click.option(
                "--locked",
                is_flag=True,
                help=f"{effect} ({LOCK} beside the file with the settings, or in this folder).",
            ),
        ):
            with_lock = option(with_lock)
        return with_lock

    return decorate


def read_locked(
    products: Sequence[ChosenProduct], lock: LockAsked, asked: ConfigurationAsked
) -> tuple[LockedProduct, ...]:
    """Returns what the lock says of each product; ConfigurationError if it lacks one."""
    path = find_lock(lock, asked)
    read = api.read_lock(path)
    return tuple(api.choose_locked(path, read, one.name) for one in products)


def find_lock(lock: LockAsked, asked: ConfigurationAsked) -> Path:
    """Returns the path of the lock that is meant."""
    return lock.path or place_lock(asked)


def place_lock(asked: ConfigurationAsked) -> Path:
    """Returns where the lock of a build is when nobody names it."""
    return (asked.path.parent if asked.path else Path()) / LOCK
