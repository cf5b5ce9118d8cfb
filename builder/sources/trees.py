"""The source trees of the pinned release: found, fetched, checked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.sources import SourceTree
from builder.errors import ConfigurationError
from builder.sources.choice import add_pip, choose_providers, parse_provider
from builder.sources.lockfile import read_lock
from builder.sources.manifest import read_marker
from builder.sources.tree import check_tree, find_tree, materialise, refuse_changed, tree_folder
from builder.system.folders import cache_folder, data_folder
from builder.system.process import Runner

if TYPE_CHECKING:
    from builder.core.sources import SourceLock
    from builder.sources.providers import Provider
    from builder.system.progress import Progress


def load_source_lock() -> SourceLock:
    """Returns the pins and patches of builder's own `third_party` folder."""
    return read_lock(data_folder("third_party"))


def find_sources(feature: str = "") -> SourceTree | None:
    """Returns PyTorch's source tree, or that of a feature, when it is complete; never fetches."""
    return find_tree(_select_sources(feature), cache_folder())


def locate_sources(*, progress: Progress, feature: str = "") -> SourceTree:
    """Returns PyTorch's source tree, or that of a feature, fetching it first when it is not there.

    Raises:
        SourceError: it is not there and cannot be fetched, or it was changed by hand.
    """
    found = find_sources(feature)
    if found is not None:
        refuse_changed_sources(found, feature=feature)
        return found
    progress.note(
        f"the {feature or 'PyTorch'} sources are not there yet: fetching them "
        f"(builder fetch{f' --feature {feature}' if feature else ''})"
    )
    return fetch_sources(progress=progress, features=(feature,) if feature else ())[-1]


def refuse_changed_sources(tree: SourceTree, *, feature: str = "") -> None:
    """Raises SourceError when files of PyTorch's tree, or a feature's, are not what was fetched."""
    refuse_changed(_select_sources(feature), tree)


def fetch_sources(
    *,
    progress: Progress,
    source_folder: Path | None = None,
    provider: str | None = None,
    offline: bool = False,
    check: bool = False,
    features: Iterable[str] = (),
) -> tuple[SourceTree, ...]:
    """Materialises the pinned source trees, or with `check` reads all again and compares.

    Returns PyTorch's tree, and after it one for each of `features`.

    Args:
        progress: is told what is fetched from where.
        source_folder: has some or all archives by their file names; is asked first.
        provider: `distribution` or `git`; by default both, in this order.
        offline: use no network.
        check: fetch nothing; a tree that differs is given up.
        features: optional sources to add (`SourceLock.features`).

    Raises:
        ConfigurationError: an unknown provider or feature, or `source_folder` is no folder.
        SourceError: a source cannot be had or is not what its pin says, or the tree differs.
    """
    locks, cache = [_select_sources(feature) for feature in ("", *features)], cache_folder()
    if check:
        count = sum(check_tree(lock, cache) for lock in locks)
        progress.note(f"{count:,} files are what was fetched")
        return tuple(
            SourceTree(root=tree_folder(lock, cache), version=lock.version, digest=lock.digest)
            for lock in locks
        )
    runner = Runner.inherit()
    providers = choose_providers(
        runner,
        cache,
        source_folder=source_folder,
        provider=parse_provider(provider),
        offline=offline,
    )

    def offered(lock: SourceLock) -> tuple[Provider, ...]:
        return providers if offline else add_pip(providers, lock, runner, cache)

    return tuple(materialise(lock, cache, offered(lock), progress) for lock in locks)


def list_source_origins(tree: SourceTree) -> dict[str, str]:
    """Returns source name -> where its archive came from, for a complete tree."""
    marker = read_marker(tree.root, tree.digest)
    return dict(marker.providers) if marker else {}


def _select_sources(feature: str) -> SourceLock:
    lock = load_source_lock()
    if feature and feature not in lock.features:
        raise ConfigurationError(
            f"unknown feature {feature!r}; known are {', '.join(lock.features)}",
            hint="builder fetch --help",
        )
    return lock.select(feature)
