"""Options for the names and contents of packages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from builder.platforms.android.package import ARTIFACT, GROUP, AarOptions
from builder.platforms.apple.package import AppleOptions


def aar_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options for names and contents of an AAR; `command` receives one `aar`."""
    groups = click.option(
        "--group", default=GROUP, show_default=True, help="Maven group ID of the AAR."
    )
    artifacts = click.option(
        "--artifact", default=ARTIFACT, show_default=True, help="Maven artifact ID of the AAR."
    )
    versions = click.option(
        "--aar-version", help="Version of the AAR (default: PyTorch's version with a revision)."
    )
    assets = click.option(
        "--asset",
        "assets",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        multiple=True,
        help="A file for the AAR's assets and the Swift package's resources, e.g. the model; "
        "repeat the option for several files.",
    )
    prefabs = click.option(
        "--prefab",
        is_flag=True,
        help="Add a Prefab module to the AAR, so that C++ code of an app can use its C API.",
    )

    @functools.wraps(command)
    def with_aar(
        *,
        group: str,
        artifact: str,
        aar_version: str | None,
        assets: tuple[Path, ...],
        prefab: bool,
        **others: object,
    ) -> object:
        aar = AarOptions(
            group=group, artifact=artifact, version=aar_version, assets=assets, prefab=prefab
        )
        return command(aar=aar, **others)

    return groups(artifacts(versions(assets(prefabs(with_aar)))))


def apple_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options for Apple packages; `command` receives one `apple`."""
    versions = click.option(
        "--pod-version", help="Version of the pod (default: PyTorch's version with a revision)."
    )
    urls = click.option(
        "--xcframework-url",
        metavar="URL",
        help="The URL at which you will publish the xcframework's zip, for SwiftPM and CocoaPods.",
    )

    @functools.wraps(command)
    def with_apple(
        *,
        pod_version: str | None,
        xcframework_url: str | None,
        **others: object,
    ) -> object:
        try:
            apple = AppleOptions(version=pod_version, url=xcframework_url)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return command(apple=apple, **others)

    return versions(urls(with_apple))
