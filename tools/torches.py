"""What each torch can do for `builder export`: asked with its own Python, shown as a table.

    PYTHON tools/torches.py --ask NAME [--keep FOLDER]   asks the torch of PYTHON, writes
                                                         tools/torch_probes/results/NAME.json
    python tools/torches.py --verify NAME --keep FOLDER --runtime OUT
                                                         runs the kept files on a built runtime
    python tools/torches.py [--table docs/reference/torches.md]
                                                         prints the table of all results, or
                                                         writes it into the document

PYTHON needs builder's own requirements beside torch, torchvision and transformers. --keep leaves
the files there. One runtime serves the files of all torches: `builder build FOLDER/*.ptl -o OUT`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import click

from torch_probes.probe import describe_torch, load_probes, run_probe, verify_probe
from torch_probes.table import load_results, render_document, render_table

RESULTS = Path(__file__).resolve().parent / "torch_probes" / "results"


def main() -> None:
    """Does what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ask", metavar="NAME", help="of the torch, as a file's name")
    parser.add_argument("--verify", metavar="NAME", help="of the torch whose files are to be run")
    parser.add_argument("--runtime", type=Path, help="what runs them")
    parser.add_argument("--keep", type=Path, help="folder of the exported files")
    parser.add_argument("--only", default="", help="ask again for rows with this text")
    parser.add_argument("--table", type=Path, help="document to update")
    options = parser.parse_args()
    if options.ask:
        _ask(RESULTS / f"{options.ask}.json", options.only, options.keep)
        return
    if options.verify:
        _verify(RESULTS / f"{options.verify}.json", options.only, options.keep, options.runtime)
        return
    table = render_table(load_results(RESULTS), [probe.what for probe in load_probes()])
    if options.table:
        options.table.write_text(render_document(options.table.read_text(), table))
    else:
        click.echo(table, nl=False)


def _ask(result: Path, only: str, kept: Path | None) -> None:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    torch, found = describe_torch(), dict[str, Any]()
    if only:
        found.update(json.loads(result.read_text())["probes"])
    for probe in load_probes():
        if only in probe.what:
            found[probe.what] = answer = run_probe(probe, kept)
            click.echo(f"{probe.what}: {'yes' if answer['ok'] else 'no: ' + answer['why']}")
            _write(result, torch, found)


def _verify(result: Path, only: str, kept: Path, runtime: Path) -> None:
    said = json.loads(result.read_text())
    found = said.pop("probes")
    for probe in load_probes():
        answer = found.get(probe.what)
        if answer and answer["ok"] and probe.runs and only in probe.what:
            answer["verified"] = verify_probe(probe, kept / probe.file, runtime)
            click.echo(f"{probe.what}: {'verified' if answer['verified'] else 'DIFFERS'}")
            _write(result, said, found)


def _write(result: Path, torch: dict[str, Any], found: dict[str, Any]) -> None:
    text = json.dumps({**torch, "probes": found}, indent=1, ensure_ascii=False)
    result.write_text(text + "\n")


if __name__ == "__main__":
    main()
