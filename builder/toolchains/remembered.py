"""Remembers which toolchain was found, so that tools are asked again only where something changed.

Finding compilers means to run them, which takes half a second. Their answers are the same as long
as the folders of PATH and the files of the tools are. The time stamps of all these, and of the
headers that were read, are written down with the toolchain (`builder.system.stamps`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from builder.core.toolchain import Tool, Toolchain, ToolchainOptions
from builder.core.typed import MAX_JSON, parse_json, to_json
from builder.system.files import read_regular, write_atomically
from builder.system.own_cache import claim_cache
from builder.system.own_files import digest_own_files
from builder.system.stamps import are_unchanged, take_stamps
from builder.system.trees import make_folders

FOLDER = "toolchains"
"""Folder of the cache."""
_VARIABLES = ("PATH", "CC", "CXX", "LD_LIBRARY_PATH", "LD_PRELOAD", "HOME")
"""Variables by which tools are found, or by which they find their libraries and settings."""
_LOADER = Path("/etc/ld.so.cache")
"""Written anew whenever a shared library of the system comes, goes or changes (ldconfig(8))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """The contents of a file in `FOLDER`."""

    asked: str
    """A digest of what the toolchain was found by."""
    stamps: Mapping[str, str]
    toolchain: Toolchain


def recall_toolchain(
    cache: Path, name: str, environment: Mapping[str, str], options: ToolchainOptions
) -> Toolchain | None:
    """Returns the toolchain that was found last; None if it has to be looked for again.

    Args:
        cache: builder's cache.
        name: the `id` of the target.
        environment: the variables that tools get.
        options: what the user chose, such as a sysroot.
    """
    try:
        text = read_regular(cache / FOLDER / f"{name}.json", MAX_JSON)
        known = parse_json(text, _Remembered, "toolchain")
    except (OSError, ValueError):
        return None
    fresh = known.asked == _describe(name, environment, options) and are_unchanged(known.stamps)
    return known.toolchain if fresh else None


def remember_toolchain(
    cache: Path,
    toolchain: Toolchain,
    environment: Mapping[str, str],
    options: ToolchainOptions,
) -> None:
    """Writes down a toolchain whose `headers` are known; a failure to write is not an error."""
    # Who builds with another launcher has the same compilers.
    toolchain, name = replace(toolchain, launcher=None), toolchain.target.id
    watched = take_stamps(dict.fromkeys(_list_watched(toolchain, environment)))
    asked = _describe(name, environment, options)
    known = _Remembered(asked=asked, stamps=watched, toolchain=toolchain)
    with suppress(OSError):
        claim_cache(cache)
        path = cache / FOLDER / f"{name}.json"
        make_folders(path.parent)
        write_atomically(path, json.dumps(to_json(known)))


def _describe(name: str, environment: Mapping[str, str], options: ToolchainOptions) -> str:
    chosen = [environment.get(variable) for variable in _VARIABLES]
    # A folder is another one where somebody else stands. All compilers serve any launcher.
    wanted = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name in ToolchainOptions.__dataclass_fields__
        if name != "launcher" and (value := getattr(options, name)) is not None
    }
    # CMake and ninja may be packages of the Python that runs builder.
    asked = [name, wanted, digest_own_files(), sys.executable, sys.version, *chosen]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _list_watched(toolchain: Toolchain, environment: Mapping[str, str]) -> Iterator[Path]:
    # A new program in any of these folders may be a newer compiler.
    yield from (Path(folder) for folder in environment.get("PATH", "").split(":") if folder)
    # Python packages bring programs too.
    yield from (Path(folder) for folder in sys.path if folder)
    tools = (getattr(toolchain, name) for name in Toolchain.__dataclass_fields__)
    yield from (tool.path for tool in tools if isinstance(tool, Tool))
    yield _LOADER
    for header in toolchain.headers:
        # Another release of GCC appears as a folder beside that of the known one.
        yield from (header, *header.parents[:3])
