"""Prints the table that ends ./demo, from what `builder build` and `builder verify` said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from builder.cli.console import format_bytes, print_table


def main() -> None:
    """Reads build.json and verify.json of the folder named on the command line."""
    folder = Path(sys.argv[1])
    (build,) = json.loads((folder / "build.json").read_text())["runtimes"]
    verify = json.loads((folder / "verify.json").read_text())
    worst = max(output["max_absolute"] for output in verify["outputs"])
    relative = max(output["max_relative"] for output in verify["outputs"])
    print_table(
        ("MobileNetV2 on its own runtime", "result"),
        (
            ("root operators", build["operators"]),
            ("translation units linked", f"{build['units_linked']} of {build['units_known']}"),
            ("compiled in this run", build["units_compiled"]),
            ("build time in seconds", f"{build['seconds']:.0f}"),
            ("stripped size in bytes", format_bytes(build["size"])),
            ("compressed in bytes", format_bytes(build["compressed_size"])),
            ("largest absolute difference", f"{worst:.3g}"),
            ("largest relative difference", f"{relative:.3g}"),
        ),
    )


if __name__ == "__main__":
    main()
