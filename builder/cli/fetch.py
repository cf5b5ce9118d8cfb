"""`builder fetch`: the pinned source tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json, print_table

if TYPE_CHECKING:
    from builder.core.sources import SourceTree


@click.command("fetch")
@click.option(
    "--from",
    "source_folder",
    type=click.Path(path_type=Path),
    help="A folder that has the archives, under the names in the lock file; asked first.",
)
@click.option(
    "--provider",
    type=click.Choice(("distribution", "git")),
    help="Ask only apt's mirror, or only upstream's git.  [default: both, in this order]",
)
@click.option(
    "--feature",
    "features",
    multiple=True,
    metavar="NAME",
    help="Fetch optional sources too: apple, pocketfft, torchvision, vulkan.",
)
@click.option("--offline", is_flag=True, help="Use no network.")
@click.option("--check", is_flag=True, help="Read every file again; fetch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    source_folder: Path | None,
    provider: str | None,
    features: tuple[str, ...],
    offline: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Materialises the pinned source tree of PyTorch and of what its mobile build needs.

    Optional sources have trees of their own; a build that needs them fetches them by itself.

    Everything is checked against the lock file. What has been downloaded is kept, so that this
    works offline afterwards. Run it again after an interruption: it goes on.

    \b
    Examples:
      builder fetch
      builder fetch --check
      builder fetch --from ~/downloads --offline
      builder fetch --provider git
      builder fetch --feature torchvision --feature pocketfft
    """
    if check and (source_folder or provider or offline):
        raise click.UsageError("--check fetches nothing: leave out --from, --provider, --offline")
    chosen = tuple(dict.fromkeys(features))
    trees = api.fetch_sources(
        progress=ConsoleProgress(),
        source_folder=source_folder,
        provider=provider,
        offline=offline,
        check=check,
        features=chosen,
    )
    fetched = [_describe(*one) for one in zip(trees, ("", *chosen), strict=True)]
    pytorch, *optional = fetched
    if as_json:
        print_json("fetch", {**pytorch, "features": {one["feature"]: one for one in optional}})
        return
    columns = ("name", "version", "licence", "origin")
    rows = [[row[column] for column in columns] for one in fetched for row in one["sources"]]
    print_table(columns, rows)
    for one in fetched:
        echo(f"path    {one['path']}")
        echo(f"digest  {one['digest']}")


def _describe(tree: SourceTree, feature: str) -> dict[str, Any]:
    lock, origins = api.load_source_lock().select(feature), api.list_source_origins(tree)
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
