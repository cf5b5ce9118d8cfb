"""Makes a source tree from a lock; the tree is complete, verified and patched, or absent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.core.counts import number_of
from builder.core.sources import SourceLock, SourcePin, SourceTree
from builder.errors import Hint, Run, SourceError, Use
from builder.sources import tree_manifest as manifest
from builder.sources.providers import (
    Delivery,
    Provider,
    Unavailable,
    deliver_archive,
    refuse_nothing_found,
)
from builder.sources.store import ArchiveStore
from builder.system.archives import extract_archive
from builder.system.files import free_bytes
from builder.system.listings import Differences
from builder.system.locks import folder_lock
from builder.system.outputs import writing_into
from builder.system.own_cache import claim_cache
from builder.system.patches import apply_patch
from builder.system.progress import Progress
from builder.system.replace_folders import replacement_folder

_MIB = 1 << 20
_OTHER_CACHE = "choose another cache with BUILDER_CACHE=<folder>"


def tree_folder(lock: SourceLock, cache: Path) -> Path:
    """Returns the path of the tree of `lock`, whether it exists or not."""
    return cache / "sources" / f"{lock.feature or lock.version}-{lock.digest[:16]}"


def fetch_command(lock: SourceLock) -> Run:
    """Returns the command that makes the tree of `lock`."""
    feature = (Use("features", lock.feature),) if lock.feature else ()
    return Run("fetch", (Use("pytorch", lock.version), *feature))


def find_tree(lock: SourceLock, cache: Path) -> SourceTree | None:
    """Returns the tree of `lock` when it is complete, otherwise None."""
    root = tree_folder(lock, cache)
    if manifest.read_marker(root, lock.digest) is None:
        return None
    return SourceTree(root=root, version=lock.version, digest=lock.digest)


def materialise(
    lock: SourceLock,
    cache: Path,
    providers: Sequence[Provider],
    progress: Progress,
) -> SourceTree:
    """Makes the source tree of `lock` unless it exists; kill -9 at any moment does no harm.

    Args:
        lock: the lock of one tree (see `SourceLock.select`); all its pins are fetched.
        cache: the folder in which `downloads`, `git` and `sources` are made.
        providers: are asked in this order for each source that is not in `downloads` yet.
        progress: shows what is fetched, and from where.

    Raises:
        SourceError: a source cannot be fetched, differs from its pin, or there is no space.
    """
    root = tree_folder(lock, cache)
    if found := _find_unchanged(lock, cache):
        return found
    if unmarked := claim_cache(cache):
        progress.note(unmarked)
    with (
        writing_into(cache, SourceError, hint=_OTHER_CACHE),
        folder_lock(root, on_wait=progress.note, error=SourceError),
    ):
        # Another builder may have made the tree while this one waited for the lock.
        if found := _find_unchanged(lock, cache):
            return found
        _say_what_goes(lock, root, progress)
        # One lock for all downloads: trees of several locks share archives.
        with folder_lock(cache / "downloads", on_wait=progress.note, error=SourceError):
            store = ArchiveStore(folder=cache / "downloads")
            # Before minutes of downloads, and not in the middle of unpacking.
            _check_space(lock, store, cache)
            deliveries = _acquire(lock, store, providers, progress)
            _build(lock, root, deliveries, progress)
    return SourceTree(root=root, version=lock.version, digest=lock.digest)


def refuse_changed(lock: SourceLock, tree: SourceTree) -> None:
    """Raises SourceError when files of `tree` were changed; the message lists them.

    Only files that may have changed are read: see `builder.system.listings`.
    """
    differences = _find_changes(lock, tree.root)
    if differences:
        raise SourceError(
            f"the source tree at {tree.root} was changed after it was fetched\n{differences}",
            hint=Hint("make it again, which discards these changes: ", fetch_command(lock)),
        )


def _find_unchanged(lock: SourceLock, cache: Path) -> SourceTree | None:
    found = find_tree(lock, cache)
    return None if found is None or _find_changes(lock, found.root) else found


def _find_changes(lock: SourceLock, root: Path) -> Differences:
    marker = manifest.read_marker(root, lock.digest)
    if marker is None:
        return Differences(missing=(manifest.FOLDER,))
    return manifest.find_changes(root, marker)


def _say_what_goes(lock: SourceLock, root: Path, progress: Progress) -> None:
    marker = manifest.read_marker(root, lock.digest)
    if marker is not None:
        changes = manifest.find_changes(root, marker)
        progress.note(f"the source tree at {root} was changed, so it is made again\n{changes}")


def check_tree(lock: SourceLock, cache: Path) -> int:
    """Reads all files of the tree; returns the number of files, which are all unchanged.

    A changed tree is not used any more: its marker is removed.

    Raises:
        SourceError: there is no tree, or it was changed; the message lists the differences.
    """
    root = tree_folder(lock, cache)
    marker = manifest.read_marker(root, lock.digest)
    if marker is None:
        raise SourceError(
            f"there is no complete source tree at {root}", hint=Hint(fetch_command(lock))
        )
    with _lock_if_writable(root):
        differences = manifest.compare(root, marker)
        if differences:
            with suppress(OSError):  # a read-only cache: report the differences all the same
                manifest.remove_marker(root)
            raise SourceError(
                f"the source tree at {root} was changed after it was fetched\n{differences}",
                hint=Hint("make it again, mostly from downloaded archives: ", fetch_command(lock)),
            )
    return marker.files


@contextmanager
def _lock_if_writable(root: Path) -> Iterator[None]:
    """Holds the lock of `root`; a read-only cache needs no lock, because nobody can change it."""
    if os.access(root.parent, os.W_OK):
        with folder_lock(root, error=SourceError):
            yield
    else:
        yield


def _acquire(
    lock: SourceLock, store: ArchiveStore, providers: Sequence[Provider], progress: Progress
) -> dict[SourcePin, Delivery]:
    for_what = f"the feature {lock.feature} for " if lock.feature else ""
    progress.step(f"Fetching {_count(lock)} of {for_what}PyTorch {lock.version}")
    total = sum(pin.size for pin in lock.pins)
    deliveries: dict[SourcePin, Delivery] = {}
    failures: list[tuple[SourcePin, list[str]]] = []
    errors: list[SourceError] = []
    done = 0
    for pin in lock.pins:
        show = _show_bytes(progress, done, total, pin.file)
        kept = store.find_verified(pin)
        if kept is not None:
            deliveries[pin] = deliver_archive(pin, kept, "archive")
        else:
            result = _ask(pin, providers, show, progress, errors)
            if isinstance(result, Delivery):
                deliveries[pin] = result
            else:
                failures.append((pin, result))
        done += pin.size
        show(pin.size)
    # A single error says more than the list of all sources and reasons.
    if len(failures) == 1 and len(errors) == 1 and len(failures[0][1]) == 1:
        raise errors[0]
    if failures:
        raise refuse_nothing_found(failures)
    progress.advance(len(lock.pins), len(lock.pins), "sources")
    return deliveries


def _ask(
    pin: SourcePin,
    providers: Sequence[Provider],
    show: Callable[[int], None],
    progress: Progress,
    errors: list[SourceError],
) -> Delivery | list[str]:
    """Returns the first delivery, or the reason of each provider for not having the source."""
    reasons: list[str] = []
    for provider in providers:
        try:
            delivery = provider.deliver(pin, show)
        except Unavailable as answer:
            reasons.append(f"{provider.name}: {answer}")
        except SourceError as error:
            reasons.append(f"{provider.name}: {error.message}")
            errors.append(error)
        else:
            for reason in reasons:
                progress.note(f"{pin.name} comes from {delivery.provider}, because {reason}")
            return delivery
    return reasons or ["it was not downloaded before, and this is an offline fetch"]


def _build(
    lock: SourceLock, root: Path, deliveries: dict[SourcePin, Delivery], progress: Progress
) -> None:
    """Unpacks and patches next to `root`, marks the result as complete and renames it."""
    progress.step(f"Unpacking into {root}")
    # A killed run leaves a temporary folder, never an incomplete tree at `root`.
    with replacement_folder(root) as staging:
        _fill(lock, staging, deliveries, progress)
    for delivery in deliveries.values():
        if delivery.temporary:
            delivery.archive.unlink(missing_ok=True)


def _fill(
    lock: SourceLock, staging: Path, deliveries: dict[SourcePin, Delivery], progress: Progress
) -> None:
    for done, pin in enumerate(lock.pins):
        progress.advance(done, len(lock.pins), pin.name)
        delivery = deliveries[pin]
        written = extract_archive(
            delivery.archive,
            staging / pin.path,
            strip=delivery.strip,
            inside=delivery.inside,
            wanted=pin.carries,
            # An archive from git may have more files than that of the distribution.
            max_bytes=2 * pin.unpacked + 64 * _MIB,
        )
        if not written:
            raise SourceError(f"{delivery.archive.name} contains no files of {pin.name}")
    progress.advance(len(lock.pins), len(lock.pins), "patches and checksums")
    for patch in lock.patches:
        apply_patch(patch, staging)
    manifest.write_marker(
        staging, lock.digest, {pin.name: deliveries[pin].provider for pin in lock.pins}
    )


def _count(lock: SourceLock) -> str:
    return number_of(len(lock.pins), "source")


def _check_space(lock: SourceLock, store: ArchiveStore, cache: Path) -> None:
    downloads = sum(pin.size for pin in lock.pins if not store.path(pin).exists())
    needed = downloads + sum(pin.unpacked for pin in lock.pins) + 64 * _MIB
    free = free_bytes(cache)
    if free < needed:
        raise SourceError(
            f"{cache} has {free // _MIB:,} MiB free; the sources need {needed // _MIB:,} MiB",
            hint=f"free some space, or {_OTHER_CACHE}",
        )


def _show_bytes(progress: Progress, before: int, total: int, what: str) -> Callable[[int], None]:
    whole = total // _MIB + 1

    def show(received: int) -> None:
        progress.advance(min((before + received) // _MIB, whole - 1), whole, f"MiB, {what}")

    return show
