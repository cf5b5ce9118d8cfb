"""`builder size`: where the bytes go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.console import format_bytes, print_json, print_table

if TYPE_CHECKING:
    from builder.core.artifacts import SizeReport

_TOTAL = "file"


@click.command("size")
@click.argument("runtime", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Another built runtime to compare with; shows bytes there and the difference.",
)
@click.option("--units", type=click.IntRange(min=1), help="Also show the N largest units.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(runtime: Path, against: Path | None, units: int | None, as_json: bool) -> None:
    """Shows stripped size, sections and library parts of a built runtime.

    \b
    Examples:
      builder size out
      builder size out --against out-before --units 20
      builder size out/linux-x86_64 --json
    """
    from builder import api

    report = api.measure_runtime(runtime)
    other = api.measure_runtime(against) if against is not None else None
    if as_json:
        shown = {"runtime": asdict(report)}
        print_json(shown | ({"against": asdict(other)} if other is not None else {}))
        return
    for title, sizes, before in _tables(report, other, units):
        _print(title, sizes, before)


def _tables(
    report: SizeReport, other: SizeReport | None, units: int | None
) -> list[tuple[str, Mapping[str, int], Mapping[str, int] | None]]:
    whole = {_TOTAL: report.file, "compressed": report.compressed}
    before = None if other is None else {_TOTAL: other.file, "compressed": other.compressed}
    tables = [
        ("library", whole, before),
        ("part", report.parts, other.parts if other else None),
        ("section", report.sections, other.sections if other else None),
    ]
    if units is not None:
        largest = sorted(report.units, key=lambda unit: (-report.units[unit], unit))[:units]
        chosen = {unit: report.units[unit] for unit in largest}
        tables.append(("unit", chosen, other.units if other else None))
    return [*tables]


def _print(title: str, sizes: Mapping[str, int], before: Mapping[str, int] | None) -> None:
    names = sorted(set(sizes) | set(before or ()) if title != "unit" else set(sizes))
    names.sort(key=lambda name: -sizes.get(name, 0))
    if before is None:
        print_table((title, "bytes"), ((name, format_bytes(sizes[name])) for name in names))
    else:
        rows = [
            (
                name,
                format_bytes(sizes.get(name, 0)),
                format_bytes(before.get(name, 0)),
                f"{sizes.get(name, 0) - before.get(name, 0):+,}",
            )
            for name in names
        ]
        print_table((title, "bytes", "against", "difference"), rows)
    click.echo()
