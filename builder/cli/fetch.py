"""`builder fetch`: downloads the pinned sources and unpacks them into a source tree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json, print_table
from builder.cli.settings_options import settings_options
from builder.sources.choice import FetchRequest

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.sources import SourceTree


@click.command("fetch")
@settings_options(FetchRequest, "request")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(request: FetchRequest, as_json: bool) -> None:
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
    if request.check and (request.source_folder or request.provider or request.offline):
        raise click.UsageError(
            "--check does not fetch anything: leave out --from, --provider and --offline"
        )
    # Each feature once, in the order given: the trees come back in the same order.
    chosen = tuple(dict.fromkeys(request.features))
    release = request.pytorch or api.load_release()
    request = replace(request, pytorch=release, features=chosen)
    trees = api.fetch_sources(request, progress=ConsoleProgress())
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
