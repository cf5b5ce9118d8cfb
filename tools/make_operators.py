"""Makes operators.txt of a release anew; for those who add a release or move its pins.

    .venv/bin/python tools/make_operators.py [--pytorch 2.6.0] > operators.txt

It configures PyTorch with every feature for this machine, and reads what can be registered.
"""

from __future__ import annotations

import argparse
import sys

from builder.api.indexes import list_known_operators
from builder.api.toolchains import locate_target
from builder.cli.console import ConsoleProgress
from builder.sources.releases import load_release
from builder.system.machine import host_abi


def main() -> None:
    """Prints the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pytorch", help="the release of PyTorch; the default release without it")
    release = load_release(parser.parse_args().pytorch)
    target = locate_target(host_abi())
    known = list_known_operators(release, target, progress=ConsoleProgress())
    sys.stdout.write(
        f"# Operators that runtimes of PyTorch {release.version} can have; * is any overload.\n"
    )
    sys.stdout.write(known.render())


if __name__ == "__main__":
    main()
