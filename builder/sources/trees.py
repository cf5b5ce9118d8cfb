"""Finds, fetches and checks the source trees of a release."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from builder.core.sources import SourceTree
from builder.errors import ConfigurationError, Hint, Use
from builder.sources.choice import FetchRequest, add_pip, choose_providers
from builder.sources.mirrors import add_snapshot
from builder.sources.tree import (
    check_tree,
    find_tree,
    materialise,
    refuse_changed,
    tree_folder,
)
from builder.sources.tree_manifest import read_marker
from builder.system.folders import cache_folder
from builder.system.process import Runner

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.sources import SourceLock
    from builder.sources.providers import Provider
    from builder.system.progress import Progress


def find_sources(release: Release, feature: str = "") -> SourceTree | None:
    """Returns the source tree of PyTorch or a feature when it is complete; never fetches it."""
    return find_tree(_select_sources(release, feature), cache_folder())


def locate_sources(release: Release, *, progress: Progress, feature: str = "") -> SourceTree:
    """Returns the source tree of PyTorch or a feature, and fetches it first when it is missing.

    Raises:
        SourceError: the tree is missing and cannot be fetched, or was changed by hand.
    """
    found = find_sources(release, feature)
    # A tree that was edited would give bytes that its digest does not stand for.
    if found is not None:
        refuse_changed_sources(release, found, feature=feature)
        # The time of the folder says when the tree was used last, for `builder cache prune`.
        with suppress(OSError):
            os.utime(found.root)
        return found
    progress.note(f"the {feature or 'PyTorch'} sources are missing; they are fetched now")
    request = FetchRequest(features=(feature,) if feature else ())
    return fetch_trees(release, request, progress=progress)[-1]


def refuse_changed_sources(release: Release, tree: SourceTree, *, feature: str = "") -> None:
    """Raises SourceError when files in the tree of PyTorch or a feature were changed."""
    refuse_changed(_select_sources(release, feature), tree)


def fetch_trees(
    release: Release, request: FetchRequest, *, progress: Progress
) -> tuple[SourceTree, ...]:
    """Makes or compares the source trees of `release`: PyTorch's, then one for each feature.

    Raises:
        ConfigurationError: a feature is unknown, or `source_folder` is not a folder.
        SourceError: a source cannot be fetched or differs from its pin, or a tree differs.
    """
    locks = [_select_sources(release, feature) for feature in ("", *request.features)]
    cache = cache_folder()
    if request.check:
        # Every file is read, also where size and time say that nothing changed.
        count = sum(check_tree(lock, cache) for lock in locks)
        progress.note(f"{count:,} files are unchanged since they were fetched")
        return tuple(
            SourceTree(root=tree_folder(lock, cache), version=lock.version, digest=lock.digest)
            for lock in locks
        )
    runner = Runner.inherit()
    providers = choose_providers(runner, cache, request)

    def offered(lock: SourceLock) -> tuple[Provider, ...]:
        if request.offline:
            return providers
        # pip always asks an index.
        return add_pip(add_snapshot(providers, lock), lock, runner, cache)

    return tuple(materialise(lock, cache, offered(lock), progress) for lock in locks)


def list_source_origins(tree: SourceTree) -> dict[str, str]:
    """Returns source name -> provider of its archive, for a complete tree."""
    marker = read_marker(tree.root, tree.digest)
    return dict(marker.providers) if marker else {}


def _select_sources(release: Release, feature: str) -> SourceLock:
    lock = release.lock
    if feature and feature not in lock.features:
        raise ConfigurationError(
            f"unknown feature {feature!r}; known features are {', '.join(lock.features)}",
            hint=Hint("choose one of these with ", Use("features")),
        )
    return lock.select(feature)
