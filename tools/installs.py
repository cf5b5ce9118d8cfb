"""Installs builder as users do, in each Python named, and runs it: what works is one table.

    python tools/installs.py PYTHON ... [--torch]

Each PYTHON gets the wheel and the sdist by pip, pipx and uv (those of the PATH), into folders of
its own. `--torch` lets the environments see the packages of PYTHON itself, such as Debian's torch.
Each installation then runs from the root folder: `builder --version`, the operators of a model,
and its graph, which needs data of the package; with `--torch` it also exports a small model.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests/data/models/lstm.ptl"
NET = "import torch\n\ndef make():\n    return torch.nn.Linear(4, 2).eval()\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One way to install: `install` turns a Python, a file and a folder into commands."""

    name: str
    tool: str
    install: Callable[[str, Path, Path, bool], tuple[tuple[str, ...], ...]]
    command: str  # below the folder


def _install_by_pip(
    python: str, file: Path, folder: Path, seen: bool
) -> tuple[tuple[str, ...], ...]:
    make = (python, "-m", "venv", *_allow(seen), f"{folder}/venv")
    return (make, (f"{folder}/venv/bin/python", "-m", "pip", "install", "-q", str(file)))


def _install_by_pipx(
    python: str, file: Path, folder: Path, seen: bool
) -> tuple[tuple[str, ...], ...]:
    variables = (f"PIPX_HOME={folder}/home", f"PIPX_BIN_DIR={folder}/bin")
    return (("env", *variables, "pipx", "install", *_allow(seen), "--python", python, str(file)),)


def _install_by_uv(
    python: str, file: Path, folder: Path, seen: bool
) -> tuple[tuple[str, ...], ...]:
    if seen:  # tools of uv never see other packages
        make = ("uv", "venv", "-q", *_allow(seen), "--python", python, f"{folder}/venv")
        into = f"{folder}/venv/bin/python"
        link = ("ln", "-s", f"{folder}/venv/bin", f"{folder}/bin")
        return (make, ("uv", "pip", "install", "-q", "--python", into, str(file)), link)
    variables = (f"UV_TOOL_DIR={folder}/tools", f"UV_TOOL_BIN_DIR={folder}/bin")
    return (("env", *variables, "uv", "tool", "install", "-q", "--python", python, str(file)),)


def _allow(seen: bool) -> tuple[str, ...]:
    return ("--system-site-packages",) if seen else ()


WAYS = (
    Installation(name="pip", tool="", install=_install_by_pip, command="venv/bin/builder"),
    Installation(name="pipx", tool="pipx", install=_install_by_pipx, command="bin/builder"),
    Installation(name="uv", tool="uv", install=_install_by_uv, command="bin/builder"),
)


def main() -> None:
    """Does what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="an interpreter")
    parser.add_argument("--torch", action="store_true", help="the torch of PYTHON exports a model")
    options = parser.parse_args()
    failed = False
    with TemporaryDirectory() as temporary:
        files = _pack(Path(temporary) / "files")
        click.echo("| Python | by | from | result |\n|---|---|---|---|")
        for python in options.pythons:
            for way, file in _list_ways(files):
                said = _try_way(python, way, file, Path(temporary) / "there", options.torch)
                failed |= said != "works"
                kind = "wheel" if file.suffix == ".whl" else "sdist"
                click.echo(f"| {_name(python)} | {way.name} | {kind} | {said} |")
    sys.exit(failed)


def _pack(folder: Path) -> list[Path]:
    """Writes the sdist, and the wheel that pip makes of it."""
    folder.mkdir()
    make = "import sys\nfrom scikit_build_core.build import build_sdist\nbuild_sdist(sys.argv[1])"
    _run((sys.executable, "-c", make, str(folder)), ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder))
    _run((*pip, str(sdist)), folder)
    return sorted(folder.iterdir())


def _list_ways(files: list[Path]) -> Iterator[tuple[Installation, Path]]:
    for way in WAYS:
        if not way.tool or shutil.which(way.tool):
            yield from ((way, file) for file in files)


def _try_way(python: str, way: Installation, file: Path, folder: Path, torch: bool) -> str:
    """Returns "works", or which command failed and what it said last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = str(folder / way.command)
    uses = [
        (command, "--version"),
        (command, "ops", str(MODEL)),
        (command, "graph", str(MODEL)),
    ]
    if torch:
        (folder / "nets.py").write_text(NET)
        made = str(folder / "net.ptl")
        uses.append((command, "export", "nets:make", "-o", made, "--shape", "1,4"))
    try:
        for step in way.install(python, file, folder, torch):
            _run(step, folder)
        for use in uses:
            _run(use, folder if use[1] == "export" else Path("/"))
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()
        shown = " ".join(error.cmd[:4]).replace(str(folder), "...")
        return f"`{shown}` ended with {error.returncode}: {last[-1] if last else ''}"
    return "works"


def _name(python: str) -> str:
    asked = "import platform; print(platform.python_version())"
    return _run((python, "-c", asked), Path("/")).strip()


def _run(command: tuple[str, ...], folder: Path) -> str:
    """Runs a command without what would lead it to the checkout or to other packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=folder, env=kept, check=True, capture_output=True, text=True, timeout=1800
    ).stdout


if __name__ == "__main__":
    main()
