"""Says of each lite file in a folder whether it runs on Vulkan whole, split or not.

    .venv/bin/python tools/vulkan_models.py --work FOLDER [--table docs/how-to/vulkan.md]

FOLDER has the models of the zoo, which `tools/zoo.py` left there with their reference cases.
Nothing is run: the files are made for Vulkan in memory.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import click

from builder.core.nesting import InputSpec, list_arguments
from builder.errors import BuilderError, ModelError
from builder.export.request import MobileBackend, Optimisation, Saving, VulkanSplit
from builder.export.rewrite_models import rewrite
from builder.graph.lift import lift_program
from builder.lite.read import read_lite
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path
from tables import replace_part

_SHOWN = 3
"""Operators that a row names."""


def main() -> int:
    """Prints a row for each file, and puts the rows into a document if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with lite files")
    parser.add_argument("--table", type=Path, help="document to update")
    options = parser.parse_args()
    rows = ["| model | on Vulkan | what stays on the CPU |", "|---|---|---|"]
    for path in sorted(options.work.glob("*.ptl")):
        rows.append(_describe(path))
        click.echo(rows[-1])
    if options.table:
        text = options.table.read_text(encoding="utf-8")
        options.table.write_text(replace_part(text, "vulkan models", "\n".join(rows)))
    return 0


def _describe(path: Path) -> str:
    name = f"`{path.name.partition('.')[0]}`"
    try:
        split = _split(path)
    except ModelError as error:
        first, *lines = error.message.splitlines()
        return f"| {name} | no: {first.removesuffix(':')} | {_shorten(lines)} |"
    except BuilderError as error:
        return f"| {name} | no: {error.message} | |"
    if not split.cpu:
        return f"| {name} | whole: {split.gpu} calls | |"
    counts = f"{split.gpu} calls on the GPU, {split.cpu} on the CPU, {split.transfers} transfers"
    return f"| {name} | split, with `--allow-cpu`: {counts} | {_shorten(split.on_cpu)} |"


def _split(path: Path) -> VulkanSplit:
    schemas, case = load_schemas(), reference_path(path)
    specs: tuple[InputSpec, ...] = list_arguments(read_reference(case)) if case.is_file() else ()
    made = rewrite(
        lift_program(read_lite(path), schemas),
        Optimisation(backend=MobileBackend.VULKAN, allow_cpu=True),
        Saving(),
        schemas,
        vulkan=load_vulkan(),
        specs=specs,
    )
    assert made.split is not None
    return made.split


def _shorten(lines: tuple[str, ...] | list[str]) -> str:
    shown = "; ".join(line.strip() for line in lines[:_SHOWN])
    return shown + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")


if __name__ == "__main__":
    sys.exit(main())
