"""Runs upstream's mobile test models, each on a runtime of its own; needs torch and a toolchain.

    .venv/bin/python tools/conformance.py --work FOLDER [MODULE...] \
        [--table docs/reference/conformance.md]

Models, runtimes and one JSON per module stay in FOLDER, so that modules can be tried one by one.
--table writes those that are there into the document, between its two marks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import click

from builder.cli.console import ConsoleProgress
from builder.core.dtypes import DtypeSet
from builder.sources.releases import load_release
from builder.sources.trees import locate_sources
from tables import replace_part
from upstream_models.modules import choose, load_modules
from upstream_models.rows import Row, read_rows, render_table, write_row
from upstream_models.trial import Building, try_module


def main() -> int:
    """Tries the modules; returns 1 when one of them fails on its runtime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="all when none is named")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="document to update")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--dtypes", type=DtypeSet.parse, help="as of `builder build`")
    parser.add_argument("--only-table", action="store_true", help="try nothing")
    options = parser.parse_args()
    progress = ConsoleProgress()
    building = Building(progress=progress, jobs=options.jobs, dtypes=options.dtypes)
    known = load_modules(locate_sources(load_release(), progress=progress).root)
    failed = False
    for module in () if options.only_table else choose(known, options.modules):
        progress.step(f"module {module.name}")
        row = try_module(module, options.work, building)
        write_row(options.work / "rows", row)
        _report(row)
        failed |= not row.ok and row.units is not None
    if options.table:
        rows = read_rows(options.work / "rows", (module.name for module in known))
        _update(options.table, render_table(rows))
    return int(failed)


def _report(row: Row) -> None:
    what = "ok" if row.ok else "FAILS"
    click.echo(f"{row.module}: {what}, {row.compared} compared, largest {row.largest:.2g}")
    for remark in row.remarks:
        click.echo(f"    {remark}")


def _update(document: Path, table: str) -> None:
    document.write_text(replace_part(document.read_text(), "table", table))


if __name__ == "__main__":
    sys.exit(main())
