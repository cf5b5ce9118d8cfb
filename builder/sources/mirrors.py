"""A mirror of the user, and Debian's archive of everything that its pool ever had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from builder.core.sources import SourceLock, SourcePin
from builder.errors import ConfigurationError
from builder.sources.providers import (
    Delivery,
    DistributionProvider,
    Provider,
    ProviderName,
    Unavailable,
    deliver_archive,
    pool_urls,
)
from builder.sources.store import ArchiveStore
from builder.system.distribution import AptConfiguration, Mirror
from builder.system.network import Downloader, DownloadError, redact

VARIABLE = "BUILDER_MIRROR"
"""The variable that names a mirror."""
SNAPSHOT = "https://snapshot.debian.org/archive/debian"
_COMPONENTS = ("main", "universe")


def parse_mirror(url: str) -> str:
    """Returns the base URL of a mirror without a slash at its end.

    Raises:
        ConfigurationError: it is not the URL of an http or https server.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable():
        raise ConfigurationError(
            f"{VARIABLE} is not the URL of a mirror: {url!r:.200}",
            hint=f"e.g. {VARIABLE}=https://artifacts.example.com/builder-sources",
        )
    return url.rstrip("/")


@dataclass(slots=True, kw_only=True)
class MirrorProvider:
    """A server that has the archives, under one of the usual names."""

    url: str
    """As `parse_mirror` returns it."""
    downloader: Downloader
    store: ArchiveStore
    _silent: list[str] = field(default_factory=list)
    """Why the server did not answer, so that it is not asked again for each source."""

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return str(ProviderName.MIRROR)

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Downloads the archive under the first name that the server has."""
        if self._silent:
            raise Unavailable(self._silent[0])
        reasons: list[str] = []
        candidate = self.store.path(pin).with_name(f"{pin.sha256}.new")
        for url in list_urls(self.url, pin):
            try:
                self.downloader.download(url, candidate, max_bytes=pin.size, on_bytes=on_bytes)
            except DownloadError as error:
                reasons.append(error.message)
                if not error.reachable:
                    self._silent.append(error.message)
                    break
                continue
            # Some servers answer every question with a page.
            size = candidate.stat().st_size
            if size != pin.size:
                candidate.unlink()
                reasons.append(f"{redact(url)}: it has {size:,} bytes and not {pin.size:,}")
                continue
            archive = self.store.admit(pin, candidate, redact(url))
            return deliver_archive(pin, archive, self.name)
        raise Unavailable("; ".join(dict.fromkeys(reasons)))


def list_urls(url: str, pin: SourcePin) -> tuple[str, ...]:
    """Returns the URLs where a mirror may have the archive of `pin`.

    They are the file in one folder under its own name or under that of the cache's folder
    `downloads`, and the place in a mirror of Debian or Ubuntu.
    """
    file = quote(pin.file, safe="~")
    flat = (f"{url}/{file}", f"{url}/{pin.sha256}-{file}")
    pool = () if pin.is_wheel else pool_urls(Mirror(url=url, components=_COMPONENTS), pin)
    return (*flat, *pool)


@dataclass(slots=True, kw_only=True)
class SnapshotProvider(DistributionProvider):
    """snapshot.debian.org, which keeps what Debian's pool has dropped."""

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return "snapshot"


def make_snapshot_provider(
    lock: SourceLock, downloader: Downloader, store: ArchiveStore
) -> SnapshotProvider:
    """Returns the provider that asks for the pool of the times in `lock`."""
    mirrors = (Mirror(url=f"{SNAPSHOT}/{at}", components=("main",)) for at in lock.snapshots)
    return SnapshotProvider(
        apt=AptConfiguration(mirrors=tuple(mirrors)), downloader=downloader, store=store
    )


def add_snapshot(providers: tuple[Provider, ...], lock: SourceLock) -> tuple[Provider, ...]:
    """Returns `providers` with Debian's archive after the mirrors of the distribution."""
    found = next((one for one in providers if isinstance(one, DistributionProvider)), None)
    if found is None or not lock.snapshots:
        return providers
    # Its servers are slow for many, and git is asked next: two attempts are enough.
    downloader = Downloader(proxies=found.apt.proxies, attempts=2)
    snapshot = make_snapshot_provider(lock, downloader, found.store)
    at = providers.index(found) + 1
    return (*providers[:at], snapshot, *providers[at:])
