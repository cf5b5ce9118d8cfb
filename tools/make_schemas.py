"""Makes schemas.txt of a release anew; for those who add a release or move its pins.

    .venv/bin/python tools/make_schemas.py [--pytorch 2.6.0] > schemas.txt

It reads the declarations of ATen with torchgen, and the schemas in the text of C++ files. Operators
that macros of C++ declare come from the installed torch, whose version need not be that of the
release: their schemas are as old as TorchScript.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from builder.core.known import parse_known
from builder.core.operator_schemas import parse_schema
from builder.core.sources import SourceLock
from builder.sources.releases import load_release
from builder.sources.tree import fetch_command, find_tree
from builder.system.folders import cache_folder

_TEXT = re.compile(
    r'"((?:[a-z_]\w*::)?\w+(?:\.\w+)?\((?:[^"\\]|\\.|"\s*")*\)'
    r'(?:\s|"\s*")*->\s*(?:[^"\\]|\\.|"\s*")*)"'
)
_ARROW = re.compile(r"\)\s*->\s*(?=[^>]*$)")
_LIBRARY = re.compile(r"TORCH_LIBRARY(?:_FRAGMENT)?\(\s*(\w+)")
_FILES = (
    "aten/**/*.cpp",
    "torch/csrc/jit/runtime/register*.cpp",
    "third_party/torchvision/**/*.cpp",
)


def main() -> None:
    """Prints the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pytorch", help="the release of PyTorch; the default one without it")
    release = load_release(parser.parse_args().pytorch)
    known = parse_known(release.operators.read_text(encoding="utf-8").splitlines())
    lock, vision = release.lock.select(), release.lock.select("torchvision")
    roots = [_find_root(one) for one in (lock, vision)]
    found = dict(_installed())
    for root in roots:
        found.update(_written(root))
    declared = dict(_declared(roots[0]))
    found.update(declared)
    sys.stdout.write(
        f"# Schemas of the operators that runtimes of PyTorch {release.version} can have.\n"
    )
    for name in sorted(found):
        # Runtimes register the schemas of all that ATen declares, also where they have no kernel.
        if (name in declared or known.has(name)) and _is_schema(found[name]):
            sys.stdout.write(found[name] + "\n")


def _find_root(lock: SourceLock) -> Path:
    """Returns the folder of a source tree, which `builder fetch` made."""
    tree = find_tree(lock, cache_folder())
    if tree is None:
        sys.exit(f"the sources are missing; fetch them: {fetch_command(lock)}")
    return tree.root


def _installed() -> Iterator[tuple[str, str]]:
    for schema in torch._C._jit_get_all_schemas():  # noqa: SLF001 - there is no public list
        text = str(schema)
        yield text.partition("(")[0], text


def _written(root: Path) -> Iterator[tuple[str, str]]:
    for pattern in _FILES:
        for path in sorted(root.glob(pattern)):
            text = path.read_text(encoding="utf-8", errors="replace")
            for match in _TEXT.finditer(text):
                schema = _ARROW.sub(") -> ", " ".join(re.sub(r'"\s*"', "", match[1]).split()))
                if "::" not in schema.partition("(")[0]:
                    libraries = _LIBRARY.findall(text, 0, match.start())
                    schema = f"{libraries[-1]}::{schema}" if libraries else schema
                yield schema.partition("(")[0], schema


def _declared(root: Path) -> Iterator[tuple[str, str]]:
    sys.path.insert(0, str(root))
    from torchgen.gen import parse_native_yaml  # noqa: PLC0415 - of the release's own tree

    folder = root / "aten/src/ATen/native"
    parsed = parse_native_yaml(folder / "native_functions.yaml", folder / "tags.yaml")
    for function in parsed.native_functions:
        schema = f"aten::{function.func}"
        yield schema.partition("(")[0], schema


def _is_schema(text: str) -> bool:
    try:
        parse_schema(text)
    except (ValueError, SyntaxError):
        return False
    return True


if __name__ == "__main__":
    main()
