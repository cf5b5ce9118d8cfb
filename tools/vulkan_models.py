"""Makes the lite files in a folder for Vulkan, and runs them on a runtime.

    .venv/bin/python tools/vulkan_models.py --work FOLDER --made DIR [--export]
    .venv/bin/builder build DIR/*.ptl -o OUT
    .venv/bin/python tools/vulkan_models.py --work FOLDER --made DIR --runtime OUT \\
        [--table docs/how-to/vulkan.md]

FOLDER has the models of the zoo, which `tools/zoo.py` left there with their reference cases, and
gets those of zoo_models/vulkan.toml with --export. DIR gets the files for Vulkan, with copies of
the reference cases. VK_ICD_FILENAMES names the driver.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import click

from builder.core.nesting import list_arguments
from builder.errors import BuilderError, ModelError
from builder.export.request import MobileBackend, Optimisation, Saving, VulkanSplit
from builder.export.rewrite_models import rewrite
from builder.graph.lift import lift_program
from builder.lite.read import read_lite
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from builder.system.reference_cases import read_reference, write_reference
from builder.system.reference_headers import reference_path
from tables import replace_part
from zoo_models.rows import FOLDER, load_entries
from zoo_models.trial import run_builder

_SHOWN = 3
"""Operators that a row names."""
_SECONDS = 600
"""That one model may take."""
_HEAD = ("model", "on Vulkan", "largest difference", "what stays on the CPU")


def main() -> int:
    """Prints a row for each file, and puts the rows into a document if that is asked for.

    Returns 1 if a model differs from its reference case on the runtime.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with lite files")
    parser.add_argument("--made", type=Path, required=True, help="folder for those for Vulkan")
    parser.add_argument("--export", action="store_true", help="also export vulkan.toml's models")
    parser.add_argument("--runtime", type=Path, help="built for the files in --made")
    parser.add_argument("--table", type=Path, help="document to update")
    options = parser.parse_args()
    options.made.mkdir(parents=True, exist_ok=True)
    if options.export:
        for entry in load_entries("vulkan.toml"):
            model = (options.work / f"{entry.name}.ptl").resolve()
            arguments = (entry.source, *entry.options, "-o", model, "--json")
            run_builder("export", *arguments, cwd=FOLDER)
    rows = [_format(_HEAD), "|---" * len(_HEAD) + "|"]
    failed = False
    for path in sorted(options.work.glob("*.ptl")):
        row, ok = _describe(path, options.made / path.name, options.runtime)
        failed = failed or not ok
        rows.append(_format(row))
        click.echo(rows[-1])
    if options.table:
        text = options.table.read_text(encoding="utf-8")
        options.table.write_text(replace_part(text, "vulkan models", "\n".join(rows)))
    return int(failed)


def _format(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _describe(path: Path, made: Path, runtime: Path | None) -> tuple[tuple[str, ...], bool]:
    name = f"`{path.name.partition('.')[0]}`"
    try:
        split = _make(path, made)
    except ModelError as error:
        first, *lines = error.message.splitlines()
        return (name, f"no: {first.removesuffix(':')}", "", _shorten(lines)), True
    except BuilderError as error:
        return (name, f"no: {error.message}", "", ""), True
    difference, ok = _run(made, runtime) if runtime else ("not run", True)
    if not split.cpu:
        return (name, f"whole: {split.gpu} calls", difference, ""), ok
    counts = f"{split.gpu} calls on the GPU, {split.cpu} on the CPU, {split.transfers} transfers"
    text = f"split, with `--allow-cpu`: {counts}"
    return (name, text, difference, _shorten(split.on_cpu)), ok


def _make(path: Path, made: Path) -> VulkanSplit:
    """Writes the file for Vulkan, and a reference case with what eager PyTorch computed."""
    schemas, case = load_schemas(), read_reference(reference_path(path))
    rewritten = rewrite(
        lift_program(read_lite(path), schemas),
        Optimisation(backend=MobileBackend.VULKAN, allow_cpu=True),
        Saving(),
        schemas,
        vulkan=load_vulkan(),
        specs=list_arguments(case),
    )
    made.write_bytes(rewritten.content)
    digest = hashlib.sha256(rewritten.content).hexdigest()
    write_reference(reference_path(made), dataclasses.replace(case, model_sha256=digest))
    assert rewritten.split is not None
    return rewritten.split


def _run(made: Path, runtime: Path) -> tuple[str, bool]:
    """Returns the largest difference from the reference case, and whether it is small enough."""
    command = ("-m", "builder", "verify", str(made), "--runtime", str(runtime), "--json")
    said = subprocess.run(
        (sys.executable, *command), capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    report = json.loads(said.stdout or "{}")
    if "outputs" not in report:
        # The last line of what the runtime's program says has the reason.
        *_, reason = said.stderr.strip().splitlines() or [said.stdout]
        return f"fails: {reason.rpartition(': ')[2]}", False
    most = max((one["max_relative"] or 0.0 for one in report["outputs"]), default=0.0)
    return f"{most:.1e}", said.returncode == 0


def _shorten(lines: tuple[str, ...] | list[str]) -> str:
    shown = "; ".join(line.strip() for line in lines[:_SHOWN])
    return shown + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")


if __name__ == "__main__":
    sys.exit(main())
