"""Chooses the providers for a fetch, and their order."""

from __future__ import annotations

from pathlib import Path

from builder.core.sources import SourceLock
from builder.errors import ConfigurationError
from builder.sources.git import GitProvider
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


def parse_provider(name: str | None) -> ProviderName | None:
    """Returns the provider with the name `name`; None means all providers.

    Raises:
        ConfigurationError: no provider has that name.
    """
    if name is None:
        return None
    try:
        return ProviderName(name)
    except ValueError:
        raise ConfigurationError(
            f"unknown provider {name!r}; known providers are {', '.join(ProviderName)}",
            hint="builder fetch --provider git",
        ) from None


def choose_providers(
    runner: Runner,
    cache: Path,
    *,
    source_folder: Path | None = None,
    provider: ProviderName | None = None,
    offline: bool = False,
) -> tuple[Provider, ...]:
    """Returns the user's folder, the mirror and git, in this order; or only the given `provider`.

    Without network (`offline`), the mirror is left out, and git uses commits that it has already.

    Raises:
        ConfigurationError: `source_folder` is not a folder.
    """
    store = ArchiveStore(folder=cache / "downloads")
    chosen: list[Provider] = []
    if source_folder is not None:
        if not source_folder.is_dir():
            raise ConfigurationError(
                f"{source_folder} is not a folder", hint="builder fetch --from <folder>"
            )
        chosen.append(FolderProvider(folder=source_folder, store=store))
    # Before git: an archive is quicker to have than a repository.
    if provider is not ProviderName.GIT and not offline:
        apt = read_apt_configuration(runner)
        downloader = Downloader(proxies=apt.proxies)
        chosen.append(DistributionProvider(apt=apt, downloader=downloader, store=store))
    if provider is not ProviderName.DISTRIBUTION:
        chosen.append(GitProvider(runner=runner, folder=cache / "git", offline=offline))
    return tuple(chosen)


def add_pip(
    providers: tuple[Provider, ...], lock: SourceLock, runner: Runner, cache: Path
) -> tuple[Provider, ...]:
    """Returns `providers` with pip after the user's folder, if a pin of `lock` is a wheel."""
    if not any(pin.is_wheel for pin in lock.pins):
        return providers
    pip = WheelProvider(runner=runner, store=ArchiveStore(folder=cache / "downloads"))
    folders = tuple(p for p in providers if isinstance(p, FolderProvider))
    return (*folders, pip, *(p for p in providers if p not in folders))
