"""Finds programs, and the versions that they print."""

from __future__ import annotations

import importlib
import platform
import re
import sys
from pathlib import Path
from typing import TypedDict

from builder.core.toolchain import Tool
from builder.errors import BuilderError, ToolchainError
from builder.system.process import Runner

_FOLDERS = {"cmake": "CMAKE_BIN_DIR", "ninja": "BIN_DIR"}
"""Python package -> its attribute that has the folder of its programs."""


def find_tool(runner: Runner, name: str) -> Tool | None:
    """Returns the program with the line of `--version` that contains its version.

    None when the program does not exist or cannot run.
    """
    path = runner.find_program(name)
    if path is None:
        return None
    try:
        completed = runner.run((str(path), "--version"))
    except BuilderError:
        return None
    lines = completed.output.strip().splitlines()
    if completed.returncode != 0 or not lines:
        return None
    # Some programs print their name, a copyright or a warning first.
    version = next((line for line in lines if parse_version(line)), lines[0])
    return Tool(name=path.name, path=path, version=version.strip())


def parse_version(text: str) -> tuple[int, ...]:
    """Returns the first dotted number in `text`; empty when there is none."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def find_major(text: str) -> int:
    """Returns the major version in `text`; 0 when there is none."""
    return (*parse_version(text), 0)[0]


def locate_packaged_tool(runner: Runner, name: str) -> Tool:
    """Returns a tool from the Python package with the same name, or else from PATH.

    Args:
        runner: its PATH is searched when the package is not installed.
        name: name of the package and of the program, a key of `_FOLDERS`.
    """
    candidates = [name]
    try:
        folder = getattr(importlib.import_module(name), _FOLDERS[name], None)
    except ImportError:
        folder = None
    if folder:
        # The package's program first: its version is one that builder was installed with.
        candidates.insert(0, str(Path(str(folder)) / name))
    for candidate in candidates:
        tool = find_tool(runner, candidate)
        if tool is not None:
            return Tool(name=name, path=tool.path, version=tool.version)
    raise ToolchainError(f"there is no {name}", hint=f"pip install {name}")


class BuildTools(TypedDict):
    """The programs that every build runs, whatever its target; names as in `Toolchain`."""

    cmake: Tool
    ninja: Tool
    python: Tool


def locate_build_tools(runner: Runner) -> BuildTools:
    """Returns CMake, ninja and the Python that runs builder; ToolchainError for a missing one."""
    version = platform.python_version()
    return BuildTools(
        cmake=locate_packaged_tool(runner, "cmake"),
        ninja=locate_packaged_tool(runner, "ninja"),
        python=Tool(name="python", path=Path(sys.executable), version=version),
    )
