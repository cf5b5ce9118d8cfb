"""Where sources come from: a folder, the distribution's mirror, upstream's git."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from builder.core.sources import SourcePin
from builder.errors import SourceError
from builder.sources.store import ArchiveStore
from builder.system.distribution import AptConfiguration, Mirror
from builder.system.network import Downloader, DownloadError

_SHOWN = 10


class ProviderName(StrEnum):
    """Names of `builder fetch --provider`."""

    DISTRIBUTION = "distribution"
    GIT = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An archive whose bytes are what the pin says, and how to unpack it."""

    archive: Path
    strip: int
    inside: str = ""
    """The folder of the archive to take, after `strip`."""
    provider: str
    """Short name of where it came from, for the record."""
    temporary: bool = False
    """True when the archive can be made again and is not worth keeping."""


def deliver_archive(pin: SourcePin, archive: Path, provider: str) -> Delivery:
    """Returns the delivery of the very archive that `pin` has the digest of."""
    return Delivery(archive=archive, strip=pin.strip, inside=pin.inside, provider=provider)


class Unavailable(Exception):  # noqa: N818 - an answer, not a failure: the next provider is asked
    """This provider does not have the source; the text says why, with the URL or path."""


class Provider(Protocol):
    """Delivers verified archives."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Returns the verified archive of `pin`.

        Args:
            pin: the source that is wanted.
            on_bytes: is told how many bytes have been received.

        Raises:
            Unavailable: it has no such file.
            SourceError: what it has are other bytes than the pin's.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProvider:
    """A folder that the user already has, with the archives under the pins' file names."""

    folder: Path
    store: ArchiveStore

    @property
    def name(self) -> str:
        """How messages call it."""
        return "folder"

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Copies the archive from the folder itself or one of its direct subfolders."""
        names = (pin.file, self.store.path(pin).name)
        for pattern in ("{}", "*/{}"):
            for name in names:
                for found in sorted(self.folder.glob(pattern.format(name))):
                    if found.is_file():
                        archive = self.store.copy(pin, found)
                        on_bytes(pin.size)
                        return deliver_archive(pin, archive, self.name)
        raise Unavailable(f"{self.folder} does not have it")


@dataclass(slots=True, kw_only=True)
class DistributionProvider:
    """Source packages of the mirror that apt is configured with."""

    apt: AptConfiguration
    downloader: Downloader
    store: ArchiveStore
    _silent: dict[str, str] = field(default_factory=dict)
    """Mirror -> why it is not asked again."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(ProviderName.DISTRIBUTION)

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Downloads the archive from the first mirror that has it."""
        if pin.is_wheel:
            raise Unavailable("it is a Python package, not one of the distribution")
        if not self.apt.mirrors:
            raise Unavailable("apt has no Debian or Ubuntu mirror configured")
        reasons: list[str] = []
        for mirror in self.apt.mirrors:
            if mirror.url in self._silent:
                reasons.append(self._silent[mirror.url])
                continue
            for url in pool_urls(mirror, pin):
                candidate = self.store.path(pin).with_name(f"{pin.sha256}.new")
                try:
                    self.downloader.download(url, candidate, max_bytes=pin.size, on_bytes=on_bytes)
                except DownloadError as error:
                    reasons.append(error.message)
                    if not error.reachable:
                        self._silent[mirror.url] = error.message
                        break
                    continue
                archive = self.store.admit(pin, candidate, url)
                return deliver_archive(pin, archive, self.name)
        raise Unavailable("; ".join(dict.fromkeys(reasons)))


def pool_urls(mirror: Mirror, pin: SourcePin) -> tuple[str, ...]:
    """Returns where a mirror keeps the file, one URL per component.

    The pool's folders follow Debian policy: `lib` packages go by four letters, others by one.
    """
    prefix = pin.package[:4] if pin.package.startswith("lib") else pin.package[:1]
    file = quote(pin.file, safe="~")
    package = quote(pin.package, safe="~")
    return tuple(
        f"{mirror.url}/pool/{component}/{prefix}/{package}/{file}"
        for component in mirror.components
    )


def refuse_nothing_found(failures: list[tuple[SourcePin, list[str]]]) -> SourceError:
    """Returns the error that lists all sources no provider has, and how to go on by hand."""
    files = [f"  {pin.file}  sha256 {pin.sha256}" for pin, _ in failures]
    reasons = [f"  {reason}" for reason in dict.fromkeys(r for _, rs in failures for r in rs)]
    if len(reasons) > _SHOWN:
        reasons[_SHOWN:] = [f"  and {len(reasons) - _SHOWN} more reasons"]
    count = f"{len(failures)} source{'s' if len(failures) != 1 else ''}"
    return SourceError(
        "\n".join((f"{count} could not be fetched", *files, "since", *reasons)),
        hint="put these files into a folder, from any machine that can get them, and run: "
        "builder fetch --from <folder>",
    )
