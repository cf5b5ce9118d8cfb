"""`builder fetch`: downloads the pinned sources and unpacks them into a source tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json, print_table
from builder.cli.options import pytorch_option

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.sources import SourceTree


@click.command("fetch")
@pytorch_option
@click.option(
    "--from",
    "source_folder",
    type=click.Path(path_type=Path),
    help="A folder with the archives, under the names in the lock file; it is searched first.",
)
@click.option(
    "--provider",
    type=click.Choice(("distribution", "git")),
    help="Use only apt's mirror (distribution), or only upstream's git repositories (git).  "
    "[default: both, in this order]",
)
@click.option(
    "--feature",
    "features",
    multiple=True,
    metavar="NAME",
    help="Fetch these optional sources too: apple, pocketfft, torchvision, vulkan.",
)
@click.option("--offline", is_flag=True, help="Do not use the network.")
@click.option(
    "--check", is_flag=True, help="Check every file of the source tree; do not fetch anything."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    pytorch: str | None,
    source_folder: Path | None,
    provider: str | None,
    features: tuple[str, ...],
    offline: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Downloads the pinned sources of PyTorch and its third-party components, and unpacks them.

    Optional sources have their own source trees; a build that needs them fetches them itself.

    Every download is checked against the lock file and kept, so that later runs work offline. If
    the command is interrupted, run it again and it continues.

    \b
    Examples:
      builder fetch
      builder fetch --check
      builder fetch --from ~/downloads --offline
      builder fetch --provider git
      builder fetch --feature torchvision --feature pocketfft
    """
    if check and (source_folder or provider or offline):
        raise click.UsageError(
            "--check does not fetch anything: leave out --from, --provider and --offline"
        )
    # Each feature once, in the order given: the trees come back in the same order.
    chosen = tuple(dict.fromkeys(features))
    release = api.load_release(pytorch)
    trees = api.fetch_sources(
        release,
        progress=ConsoleProgress(),
        source_folder=source_folder,
        provider=provider,
        offline=offline,
        check=check,
        features=chosen,
    )
    pairs = zip(trees, ("", *chosen), strict=True)
    fetched = [_describe(release, *pair) for pair in pairs]
    main, *optional = fetched
    if as_json:
        print_json("fetch", {**main, "features": {tree["feature"]: tree for tree in optional}})
        return
    columns = ("name", "version", "licence", "origin")
    rows = [[row[column] for column in columns] for tree in fetched for row in tree["sources"]]
    print_table(columns, rows)
    for tree in fetched:
        echo(f"path    {tree['path']}")
        echo(f"digest  {tree['digest']}")


def _describe(release: Release, tree: SourceTree, feature: str) -> dict[str, Any]:
    lock, origins = release.lock.select(feature), api.list_source_origins(tree)
    return {
        "feature": feature,
        "digest": tree.digest,
        "patches": [{"name": patch.name, "reason": patch.reason} for patch in lock.patches],
        "path": str(tree.root),
        "sources": [
            {
                "commit": pin.commit,
                "licence": pin.licence,
                "name": pin.name,
                "origin": origins.get(pin.name, ""),
                "path": pin.path,
                "sha256": pin.sha256,
                "url": pin.url,
                "version": pin.version,
            }
            for pin in lock.pins
        ],
        "version": tree.version,
    }
