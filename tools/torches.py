"""What each torch can do for `builder export`: asked with its own Python, shown as a table.

    PYTHON tools/torches.py --ask NAME [--keep FOLDER]   asks the torch of PYTHON, writes
                                                         tools/torch_probes/results/NAME.json
    PYTHON tools/torches.py [--table docs/reference/torches.md]
                                                         prints the table of all results, or
                                                         writes it into the document

PYTHON needs builder's own requirements beside torch and torchvision. --keep leaves the files there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import click

from torch_probes.probe import describe_torch, load_probes, run_probe
from torch_probes.table import load_results, render_document, render_table

RESULTS = Path(__file__).resolve().parent / "torch_probes" / "results"


def main() -> None:
    """Does what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ask", metavar="NAME", help="of the torch, as a file's name")
    parser.add_argument("--keep", type=Path, help="folder for the exported files")
    parser.add_argument("--only", default="", help="ask again for rows with this text")
    parser.add_argument("--table", type=Path, help="document to update")
    options = parser.parse_args()
    if options.ask:
        _ask(RESULTS / f"{options.ask}.json", options.only, options.keep)
        return
    table = render_table(load_results(RESULTS), [probe.what for probe in load_probes()])
    if options.table:
        options.table.write_text(render_document(options.table.read_text(), table))
    else:
        click.echo(table, nl=False)


def _ask(result: Path, only: str, kept: Path | None) -> None:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    torch, found = describe_torch(), dict[str, object]()
    if only:
        found.update(json.loads(result.read_text())["probes"])
    for probe in load_probes():
        if only in probe.what:
            found[probe.what] = answer = run_probe(probe, kept)
            click.echo(f"{probe.what}: {'yes' if answer['ok'] else 'no: ' + answer['why']}")
            text = json.dumps({**torch, "probes": found}, indent=1, ensure_ascii=False)
            result.write_text(text + "\n")


if __name__ == "__main__":
    main()
