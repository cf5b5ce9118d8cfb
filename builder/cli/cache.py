"""`builder cache`: shows what is in the cache, and removes what is not needed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.cache import CacheAction, CacheRequest
from builder.cli.console import echo, format_bytes, print_json, print_table
from builder.cli.settings_options import settings_options
from builder.core.counts import number_of

if TYPE_CHECKING:
    from builder.api import CacheEntry, CacheReport

_SHOWN_ENTRIES = 50
"""Entries of each kind that are printed; with `--json` there are all."""
_SHOWN = 10
"""Names of what builder did not make that `info` prints; with `--json` there are all."""


@click.command("cache")
@settings_options(CacheRequest, "request")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(request: CacheRequest, as_json: bool) -> None:
    """Shows what is in the cache, or removes what is not needed any more.

    The cache is the folder in BUILDER_CACHE, or else the user's cache folder. What is removed is
    made again when a build needs it. What a running builder uses is never removed, nor are source
    trees that a remaining build is made from. Archives of known releases are removed by clear only.
    What builder did not make stays, and prune and clear refuse a folder that is not builder's.

    \b
    Examples:
      builder cache info
      builder cache prune --older-than 14
      builder cache prune --only builds --older-than 7 --dry-run
      builder cache clear --only sources
    """
    report = api.manage_cache(request)
    if as_json:
        print_json("cache", _to_json(report))
        return
    now = time.time()
    if request.action is CacheAction.INFO:
        _print_entries(report.entries, now)
        _print_totals(report)
        _print_foreign(report)
        return
    _print_entries(report.removed, now)
    freed = format_bytes(sum(one.size for one in report.removed))
    done = "would be removed" if request.dry_run else "removed"
    echo(f"{number_of(len(report.removed), 'entry', 'entries')} {done}: {freed} bytes")


def _print_entries(entries: Iterable[CacheEntry], now: float) -> None:
    kinds: dict[str, list[CacheEntry]] = {}
    for one in entries:
        kinds.setdefault(one.kind, []).append(one)
    shown = [one for listed in kinds.values() for one in listed[:_SHOWN_ENTRIES]]
    rows = [(one.kind, one.path.name, format_bytes(one.size), one.days(now)) for one in shown]
    if rows:
        print_table(("kind", "name", "bytes", "days unused"), rows)
        for kind, listed in kinds.items():
            if len(listed) > _SHOWN_ENTRIES:
                echo(f"and {len(listed) - _SHOWN_ENTRIES:,} more of {kind}")
        echo()


def _print_totals(report: CacheReport) -> None:
    sums: dict[str, int] = {}
    for one in report.entries:
        sums[one.kind] = sums.get(one.kind, 0) + one.size
    rows = [*sums.items(), ("all", sum(sums.values()))]
    print_table(("kind", "bytes"), [(kind, format_bytes(size)) for kind, size in rows])
    echo(f"folder: {report.folder}")


def _print_foreign(report: CacheReport) -> None:
    if not report.foreign:
        return
    echo()
    shown = report.foreign[:_SHOWN]
    print_table(
        ("not made by builder, or a link: never removed",),
        [(path.relative_to(report.folder),) for path in shown],
    )
    if len(report.foreign) > _SHOWN:
        echo(f"and {len(report.foreign) - _SHOWN} more")


def _to_json(report: CacheReport) -> dict[str, object]:
    now = time.time()
    return {
        "entries": [_entry_json(one, now) for one in report.entries],
        "folder": str(report.folder),
        "foreign": [str(path) for path in report.foreign],
        "removed": [_entry_json(one, now) for one in report.removed],
        "size": sum(one.size for one in report.entries),
    }


def _entry_json(one: CacheEntry, now: float) -> dict[str, object]:
    return {
        "days_unused": one.days(now),
        "kind": str(one.kind),
        "needed": one.needed,
        "path": str(one.path),
        "size": one.size,
    }
