"""The cache: what is in it, and removing what is not needed any more."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from builder.api import finished
from builder.core.setting_fields import Setting
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.sources.release_facts import list_releases
from builder.sources.releases import load_release
from builder.system.folders import cache_folder
from builder.system.locks import folder_lock, is_locked
from builder.system.scratch import PREFIX, scratch_folder, sweep
from builder.toolchains import remembered

_DAY = 24 * 60 * 60
_RECENT = 60
"""Seconds for which `prune` keeps what was used: a build may be about to lock it."""
_BUSY = "a builder is using it"


class CacheAction(StrEnum):
    """What to do with the cache."""

    INFO = "info"
    PRUNE = "prune"
    CLEAR = "clear"


class CacheKind(StrEnum):
    """Kinds of things in the cache."""

    DOWNLOADS = "downloads"
    """Archives and repositories, which make the sources without a network."""
    SOURCES = "sources"
    """Source trees."""
    BUILDS = "builds"
    """What is configured, generated and compiled: a folder for each configuration."""
    RECORDS = "records"
    """Small files: what builds have written, and toolchains."""


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
class CacheEntry:
    """One file or folder in the cache that can be removed by itself."""

    path: Path
    kind: CacheKind
    size: int
    """Bytes of all files in it."""
    used: float
    """When it was used last, in seconds since 1970."""
    needed: str = ""
    """Why `prune` keeps it, however old it is; empty when nothing needs it."""

    def days(self, now: float) -> int:
        """Returns the whole days since it was used."""
        return max(0, int((now - self.used) // _DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """What is in the cache, and what was removed from it."""

    folder: Path
    entries: tuple[CacheEntry, ...]
    """What is left, by kind; for each kind, what was used last comes first."""
    removed: tuple[CacheEntry, ...] = ()
    """What was removed, or would be removed."""


def manage_cache(request: CacheRequest) -> CacheReport:
    """Lists the cache and, for `prune` and `clear`, removes entries of it.

    What a running builder uses is never removed: its configurations, the source trees of these, and
    what it is fetching. Each entry vanishes in one step, so this may be killed at any time.

    Raises:
        ConfigurationError: `clear` while a builder uses the cache.
    """
    cache, now = cache_folder(), time.time()
    entries = _list_entries(cache)
    if request.action is CacheAction.CLEAR:
        _refuse_use(entries)
    chosen = _choose(entries, request, now)
    # What only these builds needed is not needed any more.
    entries = _list_entries(cache, gone=frozenset(one.path for one in chosen))
    chosen = _choose(entries, request, now)
    removed = [one for one in chosen if request.dry_run or _remove(one)]
    if chosen and not request.dry_run:
        for folder in (cache, *cache.glob("*")):
            sweep(folder)
    gone = frozenset(one.path for one in removed)
    left = (one for one in entries if one.path not in gone and _is_wanted(one, request))
    return CacheReport(folder=cache, entries=_sort(left), removed=_sort(removed))


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
    return now - one.used >= max(_RECENT, request.older_than * _DAY)


def _sort(entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
    kinds = list(CacheKind)
    return tuple(sorted(entries, key=lambda one: (kinds.index(one.kind), -one.used, one.path)))


def _list_entries(cache: Path, gone: frozenset[Path] = frozenset()) -> list[CacheEntry]:
    """Returns what is in the cache, as it would be needed if the builds in `gone` were removed."""
    builds = [
        replace(one, needed=_say_use(one.path))
        for one in _list_folder(cache / "native", CacheKind.BUILDS)
    ]
    # Configurations link to the trees that they are made from.
    links = {
        os.path.realpath(link): one.path.name
        for one in builds
        if one.path not in gone
        for link in one.path.iterdir()
        if link.is_symlink()
    }
    trees = (
        *_list_folder(cache / "sources", CacheKind.SOURCES),
        *_list_folder(cache / "apple", CacheKind.BUILDS),
    )
    records = (
        one
        for name in (finished.FOLDER, remembered.FOLDER)
        for one in _list_folder(cache / name, CacheKind.RECORDS)
    )
    return [
        *builds,
        *(replace(tree, needed=_say_use(tree.path) or _say_link(tree, links)) for tree in trees),
        *_list_downloads(cache),
        *records,
    ]


def _say_link(tree: CacheEntry, links: Mapping[str, str]) -> str:
    name = links.get(os.path.realpath(tree.path))
    return f"the build {name} is made from it" if name else ""


def _list_downloads(cache: Path) -> Iterator[CacheEntry]:
    pinned = {pin.sha256 for version in list_releases() for pin in load_release(version).lock.pins}
    busy = _say_use(cache / "downloads")
    for one in _list_folder(cache / "downloads", CacheKind.DOWNLOADS):
        # The name begins with the digest of the archive.
        is_pinned = one.path.name.partition("-")[0] in pinned
        yield replace(one, needed=busy or ("a release is made from it" if is_pinned else ""))
    for one in _list_folder(cache / "git", CacheKind.DOWNLOADS):
        yield replace(one, needed=busy)


def _list_folder(folder: Path, kind: CacheKind) -> Iterator[CacheEntry]:
    """Yields an entry for each name; locks and lists stay or go with what they belong to."""
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            is_beside = path.suffix in {".lock", ".owner", ".sha256", ".stamps"}
            if is_beside or path.name.startswith(PREFIX) or path.is_symlink():
                continue
            # A folder's time changes with each build in it (its scratch folder is made anew), and
            # `locate_sources` sets that of a tree.
            used = path.stat().st_mtime
            yield CacheEntry(path=path, kind=kind, size=_count_bytes(path), used=used)


def _count_bytes(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # a build may run
                total += (Path(parent) / name).lstat().st_size
    return total


def _say_use(path: Path) -> str:
    return _BUSY if is_locked(path) else ""


def _refuse_use(entries: Iterable[CacheEntry]) -> None:
    # A tree is not locked by a build that is made from it, so one lock stands for everything.
    used = [one for one in entries if one.needed == _BUSY]
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
                one.path.with_name(one.path.name + suffix).unlink(missing_ok=True)
            one.path.rename(aside / "removed")
            shutil.rmtree(aside, ignore_errors=True)
    except (_InUseError, FileNotFoundError):
        return False
    return True


class _InUseError(ConfigurationError):
    """Another builder holds a lock."""
