"""Regenerates the zoo of operator lists, and runs each on a runtime of its own.

    .venv/bin/python tools/zoo.py --work FOLDER [NAME...]           write ops_lists/, show changes
    .venv/bin/python tools/zoo.py --work FOLDER --check [NAME...]   show them only; 1 if any
    .venv/bin/python tools/zoo.py --work FOLDER --build --run [--table FILE] [NAME...]

The first two need torch 1.13.1 and torchvision 0.14.1, which can optimise a model themselves, as
apps may have it; another torch adds its files to the lists. --build makes a runtime from each list
as `builder build --ops-list` finds it, and --run takes the models that the first left in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import click

from builder.oplists.read import read_op_list
from builder.oplists.write import write_op_list
from tables import replace_part
from zoo_models.lists import add_list, compare_lists, make_list
from zoo_models.rows import Entry, load_entries
from zoo_models.trial import FailedError, build_entry, render_table, run_entry

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "ops_lists"


def main() -> int:
    """Does what the options say; returns 1 for differences under --check and for rows that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="all when none is named")
    parser.add_argument("--work", type=Path, required=True, help="models and runtimes stay here")
    parser.add_argument("--check", action="store_true", help="write no list")
    parser.add_argument("--build", action="store_true", help="build a runtime from each list")
    parser.add_argument("--run", action="store_true", help="run the models on their runtimes")
    parser.add_argument("--runtime", type=Path, help="one for all of them, instead of their own")
    parser.add_argument("--jobs", type=int, default=2, help="compilations at once")
    parser.add_argument("--table", type=Path, help="document to update with what was run")
    options = parser.parse_args()
    entries = load_entries()
    if unknown := set(options.names) - {entry.name for entry in entries}:
        parser.error(f"not in the zoo: {', '.join(sorted(unknown))}")
    chosen = [entry for entry in entries if not options.names or entry.name in options.names]
    tried = chosen if options.build or options.run else []
    if tried or options.table:
        failed = [entry for entry in tried if not _try(entry, options)]
        if options.table:
            _update(options.table, render_table(_read_rows(entries, options.work)))
        return int(bool(failed))
    differ = [_regenerate(entry, options.work, write=not options.check) for entry in chosen]
    return int(options.check and any(differ))


def _regenerate(entry: Entry, work: Path, *, write: bool) -> bool:
    path = LISTS / f"{entry.name}.yaml"
    old = read_op_list(path) if path.is_file() else None
    made = add_list(old, make_list(entry, work))
    lines = compare_lists(old, made)
    click.echo("\n  ".join((f"{entry.name}: {len(made.operators)} operators", *lines)))
    if write and lines:
        write_op_list(path, made)
    return bool(lines)


def _try(entry: Entry, options: argparse.Namespace) -> bool:
    """Builds and runs one model as the options say, and writes its row; what failed is in it."""
    work, path = options.work, options.work / f"{entry.name}.json"
    row: dict[str, object] = json.loads(path.read_text()) if path.is_file() else {}
    row |= {"name": entry.name, "what": entry.what, "problem": ""}
    try:
        if options.build:
            row |= build_entry(entry, work, jobs=options.jobs)
        if options.run:
            row |= run_entry(entry, work, options.runtime or work / entry.name)
    except FailedError as error:
        row["problem"] = str(error)
    path.write_text(json.dumps(row, indent=2) + "\n")
    click.echo(f"{entry.name}: {row['problem'] or 'done'}")
    return not row["problem"] and bool(row.get("ok", True))


def _read_rows(entries: list[Entry], work: Path) -> list[dict[str, object]]:
    files = (work / f"{entry.name}.json" for entry in entries)
    return [json.loads(file.read_text()) for file in files if file.is_file()]


def _update(document: Path, table: str) -> None:
    document.write_text(replace_part(document.read_text(), "table", table))


if __name__ == "__main__":
    sys.exit(main())
