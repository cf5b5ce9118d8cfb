"""The cache: what is in it, and removing what is not needed any more."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from builder.api.cache_contents import (
    BUSY,
    DAY,
    CacheEntry,
    CacheKind,
    find_needs,
    read_cache,
)
from builder.core.setting_fields import Setting
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.system.folders import cache_folder
from builder.system.locks import folder_lock
from builder.system.own_cache import is_marked, list_foreign, list_parts, read_type
from builder.system.scratch import scratch_folder, sweep
from builder.system.trees import remove_tree

_OTHER_CACHE = "say where builder's cache is with BUILDER_CACHE=<folder>"
_RECENT = 60
"""Seconds for which `prune` keeps what was used: a build may be about to lock it."""


class CacheAction(StrEnum):
    """What to do with the cache."""

    INFO = "info"
    PRUNE = "prune"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRequest:
    """What to do with the cache, and with which part of it."""

    action: CacheAction
    """info: show what is in the cache. prune: remove what was not used for some time. clear: remove
    everything."""
    kinds: tuple[CacheKind, ...] = ()
    """Only this kind of contents (default: all kinds)."""
    older_than: Annotated[int, Setting(least=0, most=100_000, placeholder="DAYS")] = 30
    """For prune: remove what was not used for this number of days."""
    dry_run: bool = False
    """Show what would be removed, and remove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """What is in the cache, and what was removed from it."""

    folder: Path
    entries: tuple[CacheEntry, ...]
    """What is left, by kind; for each kind, what was used last comes first."""
    removed: tuple[CacheEntry, ...] = ()
    """What was removed, or would be removed."""
    foreign: tuple[Path, ...] = ()
    """What builder did not make, or what is a link; it is never removed."""


def manage_cache(request: CacheRequest) -> CacheReport:
    """Lists the cache and, for `prune` and `clear`, removes entries of it.

    What a running builder uses is never removed: its configurations, the source trees of these, and
    what it is fetching. Nor is anything that builder did not make, or that a link leads to. Each
    entry is renamed before it is removed, so this may be killed at any time.

    Raises:
        ConfigurationError: `clear` while a builder uses the cache; `prune` or `clear` of a folder
            that is not builder's; or something cannot be read or removed.
    """
    # The cache itself may be a link to another disk, but nothing in it may.
    cache = Path(os.path.realpath(cache_folder()))
    try:
        return _manage(cache, request)
    except OSError as error:
        raise ConfigurationError(
            f"the cache cannot be read or changed: {error.strerror or error}: "
            f"{error.filename or cache}",
            hint=_OTHER_CACHE,
        ) from error


def _manage(cache: Path, request: CacheRequest) -> CacheReport:
    now = time.time()
    if request.action is not CacheAction.INFO:
        _refuse_foreign(cache)
    contents = read_cache(cache)
    entries = find_needs(cache, contents.entries)
    if request.action is CacheAction.CLEAR:
        _refuse_use(entries)
    chosen = _choose(entries, request, now)
    # What only these builds needed is not needed any more.
    entries = find_needs(cache, entries, gone=frozenset(one.path for one in chosen))
    chosen = _choose(entries, request, now)
    removed = chosen if request.dry_run else _remove_all(chosen)
    if chosen and not request.dry_run:
        for folder in (cache, *list_parts(cache)):
            sweep(folder)
    gone = frozenset(one.path for one in removed)
    left = (one for one in entries if one.path not in gone and _is_wanted(one, request))
    return CacheReport(
        folder=cache, entries=_sort(left), removed=_sort(removed), foreign=contents.foreign
    )


def _refuse_foreign(cache: Path) -> None:
    """Raises ConfigurationError unless builder marked the cache, or made everything in its root."""
    foreign = () if is_marked(cache) else list_foreign(cache)
    if foreign:
        raise ConfigurationError(
            f"{cache} is not a cache of builder, so nothing is removed: {foreign[0].name!r} in it "
            "is a link, or something that builder does not make",
            hint=_OTHER_CACHE,
        )


def _choose(entries: Iterable[CacheEntry], request: CacheRequest, now: float) -> list[CacheEntry]:
    """Returns what is to be removed."""
    wanted = [one for one in entries if _is_wanted(one, request)]
    match request.action:
        case CacheAction.INFO:
            return []
        case CacheAction.CLEAR:
            return wanted
    return [one for one in wanted if not one.needed and _is_old(one, request, now)]


def _is_wanted(one: CacheEntry, request: CacheRequest) -> bool:
    return not request.kinds or one.kind in request.kinds


def _is_old(one: CacheEntry, request: CacheRequest, now: float) -> bool:
    return now - one.used >= max(_RECENT, request.older_than * DAY)


def _sort(entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
    kinds = list(CacheKind)
    return tuple(sorted(entries, key=lambda one: (kinds.index(one.kind), -one.used, str(one.path))))


def _refuse_use(entries: Iterable[CacheEntry]) -> None:
    # A tree is not locked by a build that is made from it, so one lock stands for everything.
    used = [one for one in entries if one.needed == BUSY]
    if used:
        raise ConfigurationError(
            f"a builder is using {used[0].path}",
            hint=Hint(
                "wait for it, or remove what nobody uses: ",
                Run("cache", ("prune", Use("older_than", 0))),
            ),
        )


def _locked_folder(one: CacheEntry) -> Path:
    """Returns the folder whose lock a builder holds when it uses an entry."""
    return one.path.parent if one.kind is CacheKind.DOWNLOADS else one.path


def _remove_all(chosen: Iterable[CacheEntry]) -> list[CacheEntry]:
    """Removes entries and returns them; raises the first OSError after all were tried."""
    removed, errors = [], []
    for one in chosen:
        try:
            if _remove(one):
                removed.append(one)
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return removed


def _remove(one: CacheEntry) -> bool:
    """Removes an entry under its lock; returns False when somebody else has it, or it is gone."""
    if one.kind is CacheKind.RECORDS:
        one.path.unlink(missing_ok=True)
        return True
    locked = _locked_folder(one)
    try:
        with (
            folder_lock(locked, timeout=0, error=_InUseError),
            scratch_folder(one.path.parent) as aside,
        ):
            # A list without its folder says that there is nothing, which is right at each moment.
            for suffix in (".sha256", ".stamps"):
                beside = one.path.with_name(one.path.name + suffix)
                if read_type(beside) == stat.S_IFREG:
                    beside.unlink(missing_ok=True)
            one.path.rename(aside / "removed")
            if read_type(aside / "removed") == stat.S_IFDIR:
                remove_tree(aside / "removed")
    except (_InUseError, FileNotFoundError):
        return False
    return True


class _InUseError(ConfigurationError):
    """Another builder holds a lock."""
