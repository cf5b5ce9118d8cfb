"""What is in the cache: entries that builder made, and whatever else somebody has put there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from builder.core.targets import TARGETS
from builder.sources.release_facts import list_releases
from builder.sources.releases import load_release
from builder.system.locks import is_locked
from builder.system.own_cache import list_foreign, list_parts, read_type
from builder.system.scratch import is_scratch_name
from builder.system.trees import walk_tree

BUSY = "a builder is using it"
DAY = 24 * 60 * 60
"""Seconds."""


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
        return max(0, int((now - self.used) // DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheContents:
    """What is in a cache."""

    entries: tuple[CacheEntry, ...]
    foreign: tuple[Path, ...]
    """What builder did not make, or a link has taken the place of; it is never removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How builder names the entries of one part of the cache, and which type of file they are."""

    pattern: re.Pattern[str]
    """What the whole name matches."""
    type: int = stat.S_IFDIR


_ABIS = "|".join(sorted({re.escape(target.abi) for target in TARGETS}))
_SHAPES = {
    # builder/sources/store.py
    "downloads": (_Shape(pattern=re.compile(r"[0-9a-f]{64}-.+"), type=stat.S_IFREG),),
    # builder/sources/git.py
    "git": (
        _Shape(pattern=re.compile(r".+-[0-9a-f]{12}\.git")),
        _Shape(pattern=re.compile(r".+-[0-9a-f]{40}\.tar"), type=stat.S_IFREG),
    ),
    # builder/sources/tree.py
    "sources": (_Shape(pattern=re.compile(r".+-[0-9a-f]{16}")),),
    # builder/native/build_folders.py
    "native": (_Shape(pattern=re.compile(r"((generated|shaders)-)?[0-9a-f]{16}")),),
    # builder/platforms/apple/open_sdk.py
    "apple": (_Shape(pattern=re.compile(r"open-[0-9a-f]{16}")),),
    # builder/api/finished.py
    "finished": (_Shape(pattern=re.compile(r"[0-9a-f]{64}\.json"), type=stat.S_IFREG),),
    # builder/toolchains/remembered.py; `Target.id` has the oldest version of the platform.
    "toolchains": (
        _Shape(pattern=re.compile(rf"(android-)?({_ABIS})(-[0-9.]+)?\.json"), type=stat.S_IFREG),
    ),
}
_KINDS = {
    "downloads": CacheKind.DOWNLOADS,
    "git": CacheKind.DOWNLOADS,
    "sources": CacheKind.SOURCES,
    "native": CacheKind.BUILDS,
    "apple": CacheKind.BUILDS,
    "finished": CacheKind.RECORDS,
    "toolchains": CacheKind.RECORDS,
}
_LOCKS = (".lock", ".owner")
_BESIDE = frozenset({*_LOCKS, ".sha256", ".stamps"})
"""Files beside an entry that stay or go with it."""


def read_cache(cache: Path) -> CacheContents:
    """Returns what is in the cache; `find_needs` says what of it is needed.

    Raises:
        OSError: the cache, or a folder in it, cannot be read.
    """
    entries, foreign = [], [*list_foreign(cache)]
    for part in list_parts(cache):
        # Each name is asked for once: a cache may have a hundred thousand records.
        found = _scan(part)
        types = {name: stat.S_IFMT(status.st_mode) for name, status in found.items()}
        is_safe = _has_plain_locks(part.name, {one.name: read_type(one) for one in _locks(part)})
        for name in sorted(found):
            if is_safe and _is_made(part.name, name, types):
                with suppress(FileNotFoundError):  # it vanished meanwhile
                    entries.append(_describe(part / name, _KINDS[part.name], found[name]))
            elif not _is_beside(part.name, name, types[name]):
                foreign.append(part / name)
    return CacheContents(entries=tuple(entries), foreign=tuple(foreign))


def _scan(part: Path) -> dict[str, os.stat_result]:
    found = {}
    with os.scandir(part) as listed:
        for entry in listed:
            # What vanishes meanwhile must not hide the others.
            with suppress(FileNotFoundError):
                found[entry.name] = entry.stat(follow_symlinks=False)
    return found


def _is_made(part: str, name: str, types: Mapping[str, int]) -> bool:
    """Returns whether builder made an entry; its locks must be files that can be opened safely."""
    return (
        any(types[name] == one.type and one.pattern.fullmatch(name) for one in _SHAPES[part])
        and not _is_beside(part, name, types[name])
        and _has_plain_locks(name, types)
    )


def _is_beside(part: str, name: str, kind: int) -> bool:
    """Returns whether it is a temporary file, or belongs to an entry, which may be gone."""
    if is_scratch_name(name):
        return kind in {stat.S_IFREG, stat.S_IFDIR}
    owner, dot, suffix = name.rpartition(".")
    return (
        dot + suffix in _BESIDE
        and kind == stat.S_IFREG
        and any(one.pattern.fullmatch(owner) for one in _SHAPES[part])
    )


def _locks(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _LOCKS]


def _has_plain_locks(name: str, types: Mapping[str, int]) -> bool:
    # A link would let the lock appear elsewhere, and a pipe would be waited for.
    return all(types.get(name + suffix, 0) in {0, stat.S_IFREG} for suffix in _LOCKS)


def _describe(path: Path, kind: CacheKind, status: os.stat_result) -> CacheEntry:
    # A folder's time changes with each build in it (its scratch folder is made anew), and
    # `locate_sources` sets that of a tree.
    is_folder = stat.S_ISDIR(status.st_mode)
    size = _count_bytes(path) if is_folder else status.st_size
    return CacheEntry(path=path, kind=kind, size=size, used=status.st_mtime)


def _count_bytes(path: Path) -> int:
    """Returns the bytes of all files in a folder; FileNotFoundError if it has vanished."""
    path.lstat()
    total = 0
    for inner in walk_tree(path):
        with suppress(OSError):  # a build may run
            status = inner.lstat()
            total += 0 if stat.S_ISLNK(status.st_mode) else status.st_size
    return total


def find_needs(
    cache: Path, entries: Iterable[CacheEntry], gone: frozenset[Path] = frozenset()
) -> tuple[CacheEntry, ...]:
    """Returns entries with the reasons why `prune` keeps them, as if those in `gone` were removed.

    Args:
        cache: the folder.
        entries: what `read_cache` found there.
        gone: paths of builds that are to be removed.
    """
    listed = tuple(entries)
    # Configurations link to the trees that they are made from.
    links = {
        os.path.realpath(link): one.path.name
        for one in listed
        if one.path.parent.name == "native" and one.path not in gone
        for link in _list_links(one.path)
    }
    pinned = {pin.sha256 for version in list_releases() for pin in load_release(version).lock.pins}
    busy = _say_use(cache / "downloads")

    def say(one: CacheEntry) -> str:
        match one.kind:
            case CacheKind.RECORDS:
                return ""
            case CacheKind.DOWNLOADS:
                # The name of an archive begins with its digest.
                is_pinned = one.path.name.partition("-")[0] in pinned
                return busy or ("a release is made from it" if is_pinned else "")
        # Nothing is made from a configuration.
        is_tree = one.path.parent.name != "native"
        return _say_use(one.path) or (_say_link(one, links) if is_tree else "")

    return tuple(
        one if (needed := say(one)) == one.needed else replace(one, needed=needed) for one in listed
    )


def _list_links(build: Path) -> list[Path]:
    with suppress(OSError):  # it vanished
        return [path for path in build.iterdir() if path.is_symlink()]
    return []


def _say_link(tree: CacheEntry, links: Mapping[str, str]) -> str:
    name = links.get(os.path.realpath(tree.path))
    return f"the build {name} is made from it" if name else ""


def _say_use(path: Path) -> str:
    return BUSY if is_locked(path) else ""
