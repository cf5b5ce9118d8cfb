"""Makes third_party/operators-<version>.txt anew; for those who move the source pins.

    .venv/bin/python tools/make_operators.py > third_party/operators-2.6.0.txt

It configures PyTorch with every feature for this machine, and reads what can be registered.
"""

from __future__ import annotations

import sys

from builder.api.indexes import list_known_operators
from builder.api.toolchains import locate_target
from builder.cli.console import ConsoleProgress
from builder.sources.trees import load_source_lock
from builder.system.machine import host_abi


def main() -> None:
    """Prints the list."""
    known = list_known_operators(locate_target(host_abi()), progress=ConsoleProgress())
    version = load_source_lock().version
    sys.stdout.write(
        f"# Operators that runtimes of PyTorch {version} can have; * is any overload.\n"
    )
    sys.stdout.write(known.render())


if __name__ == "__main__":
    main()
