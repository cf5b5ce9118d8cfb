"""The providers of sources: a folder, and the mirror of the distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from builder.core.counts import number_of
from builder.core.sources import SourcePin
from builder.errors import Hint, Run, SourceError, Use
from builder.sources.store import ArchiveStore
from builder.system.distribution import AptConfiguration, Mirror
from builder.system.network import Downloader, DownloadError

_SHOWN = 10


class ProviderName(StrEnum):
    """Values of the setting `provider`."""

    MIRROR = "mirror"
    DISTRIBUTION = "distribution"
    GIT = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified archive of a source, and how to unpack it."""

    archive: Path
    strip: int
    """Number of leading path components that are removed."""
    inside: str = ""
    """The folder of the archive that is unpacked, after `strip`; everything when it is empty."""
    provider: str
    """Short name of the provider, which is recorded in the tree."""
    temporary: bool = False
    """Whether the archive can be made again, so that it is removed after unpacking."""


def deliver_archive(pin: SourcePin, archive: Path, provider: str) -> Delivery:
    """Returns the delivery of an archive that has exactly the digest in `pin`."""
    return Delivery(archive=archive, strip=pin.strip, inside=pin.inside, provider=provider)


class Unavailable(Exception):  # noqa: N818 - not a failure: the next provider is asked
    """A provider does not have the source; the text says why, with the URL or the path."""


class Provider(Protocol):
    """Something that delivers verified archives of sources."""

    @property
    def name(self) -> str:
        """Name of the provider in messages."""

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Returns the verified archive of `pin`.

        Args:
            pin: the source to deliver.
            on_bytes: is called with the number of bytes that were received.

        Raises:
            Unavailable: the provider does not have the source.
            SourceError: the provider has other bytes than the pin expects.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProvider:
    """A folder of the user that has archives with the file names of the pins."""

    folder: Path
    store: ArchiveStore

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return "folder"

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Copies the archive from the folder itself or from one of its direct subfolders."""
        # A folder may be copied from another builder's store, whose names start with the digest.
        names = (pin.file, self.store.path(pin).name)
        # The folder itself comes before its subfolders, and no deeper ones: it may be a whole disk.
        for pattern in ("{}", "*/{}"):
            for name in names:
                for found in sorted(self.folder.glob(pattern.format(name))):
                    if found.is_file():
                        archive = self.store.copy(pin, found)
                        on_bytes(pin.size)
                        return deliver_archive(pin, archive, self.name)
        raise Unavailable(f"{self.folder} does not contain {pin.file}")


@dataclass(slots=True, kw_only=True)
class DistributionProvider:
    """The source packages on the mirrors in the configuration of apt."""

    apt: AptConfiguration
    downloader: Downloader
    store: ArchiveStore
    _silent: dict[str, str] = field(default_factory=dict)
    """Mirror that did not answer -> the reason, so that it is not asked again for each source."""

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return str(ProviderName.DISTRIBUTION)

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Downloads the archive from the first mirror that has it."""
        if pin.is_wheel:
            raise Unavailable(
                "this source is a Python package, which the distribution does not have"
            )
        if not self.apt.mirrors:
            raise Unavailable("the configuration of apt has no Debian or Ubuntu mirror")
        reasons: list[str] = []
        for mirror in self.apt.mirrors:
            if mirror.url in self._silent:
                reasons.append(self._silent[mirror.url])
                continue
            # A package can be in any component, and the pool has no list of files.
            for url in pool_urls(mirror, pin):
                # The name has the digest, so that an interrupted download is continued by the next
                # run.
                candidate = self.store.path(pin).with_name(f"{pin.sha256}.new")
                try:
                    self.downloader.download(url, candidate, max_bytes=pin.size, on_bytes=on_bytes)
                except DownloadError as error:
                    reasons.append(error.message)
                    # A mirror without the file may have it in its next component. One that does not
                    # answer has nothing.
                    if not error.reachable:
                        self._silent[mirror.url] = error.message
                        break
                    continue
                archive = self.store.admit(pin, candidate, url)
                return deliver_archive(pin, archive, self.name)
        raise Unavailable("; ".join(dict.fromkeys(reasons)))


def pool_urls(mirror: Mirror, pin: SourcePin) -> tuple[str, ...]:
    """Returns the URLs where a mirror may have the file, one URL per component.

    In the pool, packages that start with `lib` are in folders with the first four letters of the
    name, and all others in folders with the first letter.
    """
    prefix = pin.package[:4] if pin.package.startswith("lib") else pin.package[:1]
    file = quote(pin.file, safe="~")
    package = quote(pin.package, safe="~")
    return tuple(
        f"{mirror.url}/pool/{component}/{prefix}/{package}/{file}"
        for component in mirror.components
    )


def refuse_nothing_found(failures: list[tuple[SourcePin, list[str]]]) -> SourceError:
    """Returns the error that lists all missing sources, and says how to provide them by hand."""
    files = [f"  {pin.file}  sha256 {pin.sha256}" for pin, _ in failures]
    reasons = [f"  {reason}" for reason in dict.fromkeys(r for _, rs in failures for r in rs)]
    if len(reasons) > _SHOWN:
        reasons[_SHOWN:] = [f"  and {number_of(len(reasons) - _SHOWN, 'more reason')}"]
    return SourceError(
        "\n".join(
            (
                f"{number_of(len(failures), 'source')} could not be fetched:",
                *files,
                "for these reasons:",
                *reasons,
            )
        ),
        hint=Hint(
            "get these files on any machine, put them into a folder, and run: ",
            Run("fetch", (Use("source_folder", "FOLDER"),)),
        ),
    )
