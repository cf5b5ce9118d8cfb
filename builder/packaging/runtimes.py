"""Which libraries of the toolchain a link took something of, as components."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from builder.core.components import Component
from builder.core.toolchain import Toolchain

_ARCHIVE = re.compile(r"([^/\\]+\.a)\([^()]*\)$")
_VERSIONS = {
    "gcc": re.compile(r"libstdc\+\+ (\d+)"),
    "glibc": re.compile(r"glibc (\d+\.\d+)"),
}
"""In the compiler's version, as builder.platforms.linux.toolchain writes it."""


def find_archives(owners: Iterable[str]) -> frozenset[str]:
    """Returns the names of the static libraries among the owners of sections in a link map."""
    return frozenset(found[1] for owner in owners if (found := _ARCHIVE.search(owner)))


def name_runtimes(files: Iterable[str], toolchain: Toolchain) -> tuple[Component, ...]:
    """Returns what libraries of the toolchain are, by the names of their files; sorted.

    An Android NDK has all of its libraries, libgcc too; elsewhere they are the compiler's.
    """
    return tuple(sorted({_name(file, toolchain) for file in files}))


def _name(file: str, toolchain: Toolchain) -> Component:
    entry = next((one for one in _load() if _fits(file, one)), None)
    group, version = _find_version(entry["from"] if entry else "", toolchain)
    return Component(
        name=entry["name"] if entry else file.removesuffix(".a"),
        group=group,
        version=version,
        licence=entry.get("licence", "") if entry else "",
        prebuilt=True,
    )


def _fits(file: str, entry: dict[str, Any]) -> bool:
    return any(fnmatchcase(file, pattern) for pattern in entry["files"])


def _find_version(origin: str, toolchain: Toolchain) -> tuple[str, str]:
    """Returns whose version a library has, and the version; empty where nobody says."""
    if toolchain.ndk:
        return "android-ndk", toolchain.ndk.version
    pattern = _VERSIONS.get(origin)
    found = pattern.search(toolchain.cxx.version) if pattern else None
    return (origin, found[1]) if found else ("", "")


@cache
def _load() -> tuple[dict[str, Any], ...]:
    text = resources.files("builder.packaging").joinpath("runtimes.toml").read_text()
    return tuple(tomllib.loads(text)["runtimes"])
