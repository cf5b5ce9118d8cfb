"""Makes symbols.txt of a release anew; for those who add a release or move its pins.

    .venv/bin/python tools/make_index.py [--pytorch 2.6.0] [--only c10/] > symbols.txt

It compiles every unit of the host configuration once, without optimisation.
"""

from __future__ import annotations

import argparse
import sys

from builder.api.indexes import make_symbol_index
from builder.api.toolchains import locate_target
from builder.cli.console import ConsoleProgress
from builder.sources.releases import load_release
from builder.system.machine import host_abi


def main() -> None:
    """Prints the index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the unit ids to index")
    parser.add_argument("--pytorch", help="the release of PyTorch; the default release without it")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    text = make_symbol_index(
        load_release(options.pytorch),
        locate_target(host_abi()),
        progress=ConsoleProgress(),
        only=options.only,
        jobs=options.jobs,
    )
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
