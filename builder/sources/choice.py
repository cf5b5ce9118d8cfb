"""Chooses the providers for a fetch, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from builder.core.release import Release
from builder.core.setting_fields import Setting
from builder.core.sources import SourceLock
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.sources.git import GitProvider
from builder.sources.mirrors import VARIABLE, MirrorProvider, parse_mirror
from builder.sources.providers import (
    DistributionProvider,
    FolderProvider,
    Provider,
    ProviderName,
)
from builder.sources.store import ArchiveStore
from builder.sources.wheels import WheelProvider
from builder.system.distribution import read_apt_configuration
from builder.system.network import Downloader
from builder.system.process import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What to fetch, and from where."""

    pytorch: Annotated[Release | None, Setting(placeholder="VERSION", lookup="release")] = None
    """The release of PyTorch that runtimes are built from, e.g. 2.6.0 (default: the one that this
    version of builder declares)."""
    source_folder: Path | None = None
    """A folder with the archives, under the names in the lock file; it is searched first."""
    provider: ProviderName | None = None
    """Use only the mirror that `mirror` names (mirror), only apt's mirrors and Debian's archive
    (distribution), or only upstream's git repositories (git); by default, all are used, in this
    order."""
    mirror: Annotated[str | None, Setting(placeholder="URL", environment=VARIABLE)] = None
    """An http or https server that has the archives: in one folder, under their names in the lock
    file or those of the cache's folder downloads, or as a mirror of Debian has them."""
    features: Annotated[tuple[str, ...], Setting(placeholder="NAME")] = ()
    """Fetch these optional sources too: apple, pocketfft, torchvision, vulkan."""
    offline: bool = False
    """Do not use the network."""
    check: bool = False
    """Check every file of the source tree; do not fetch anything."""


def choose_providers(runner: Runner, cache: Path, request: FetchRequest) -> tuple[Provider, ...]:
    """Returns the user's folder and mirror, those of apt, and git; or only the wanted provider.

    Without network, the mirror is left out, and git uses commits that it has already.

    Raises:
        ConfigurationError: `source_folder` is not a folder, or the mirror is not a URL.
    """
    store = ArchiveStore(folder=cache / "downloads")
    chosen: list[Provider] = []
    if request.source_folder is not None:
        if not request.source_folder.is_dir():
            raise ConfigurationError(
                f"{request.source_folder} is not a folder",
                hint=Hint(Run("fetch", (Use("source_folder", "FOLDER"),))),
            )
        chosen.append(FolderProvider(folder=request.source_folder, store=store))
    url = request.mirror or runner.environment.get(VARIABLE)
    if request.provider is ProviderName.MIRROR and not url:
        raise ConfigurationError(
            "there is no mirror to use", hint=Hint("name it: ", Use("mirror", "URL"))
        )
    if url and request.provider in {None, ProviderName.MIRROR} and not request.offline:
        server = parse_mirror(url)
        chosen.append(MirrorProvider(url=server, downloader=Downloader(), store=store))
    # Before git: an archive is quicker to have than a repository.
    if request.provider in {None, ProviderName.DISTRIBUTION} and not request.offline:
        apt = read_apt_configuration(runner)
        downloader = Downloader(proxies=apt.proxies)
        chosen.append(DistributionProvider(apt=apt, downloader=downloader, store=store))
    # git stays also without network: commits that it has fetched before are enough.
    if request.provider in {None, ProviderName.GIT}:
        folder = cache / "git"
        chosen.append(GitProvider(runner=runner, folder=folder, offline=request.offline))
    return tuple(chosen)


def add_pip(
    providers: tuple[Provider, ...], lock: SourceLock, runner: Runner, cache: Path
) -> tuple[Provider, ...]:
    """Returns `providers` with pip after what the user has, if a pin of `lock` is a wheel."""
    if not any(pin.is_wheel for pin in lock.pins):
        return providers
    pip = WheelProvider(runner=runner, store=ArchiveStore(folder=cache / "downloads"))
    folders = tuple(p for p in providers if isinstance(p, FolderProvider | MirrorProvider))
    # What the user has, on disk or on a mirror, comes first, as for all other sources.
    return (*folders, pip, *(p for p in providers if p not in folders))
