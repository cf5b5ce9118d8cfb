"""Finds the libraries of the toolchain that became part of a runtime, as components."""

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
"""`libm.a(file.o)`, as lld's map names the member of a static library."""


def find_archives(owners: Iterable[str]) -> frozenset[str]:
    """Returns the names of the static libraries among the owners of sections in a link map."""
    return frozenset(match[1] for owner in owners if (match := _ARCHIVE.search(owner)))


def name_runtimes(files: Iterable[str], toolchain: Toolchain) -> tuple[Component, ...]:
    """Returns the components for libraries of the toolchain, given their file names; sorted.

    All libraries of an Android NDK have the version of the NDK. Elsewhere each library has the
    version of GCC or glibc, when it is known.
    """
    return tuple(sorted({_name(file, toolchain) for file in files}))


def _name(file: str, toolchain: Toolchain) -> Component:
    entry = next((known for known in _load() if _fits(file, known)), None)
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
    """Returns the product that a library belongs to and its version; both empty if unknown."""
    if toolchain.ndk:
        return "android-ndk", toolchain.ndk.version
    gnu = toolchain.gnu
    versions = {"gcc": str(gnu.libstdcxx), "glibc": gnu.glibc_version} if gnu else {}
    return (origin, versions[origin]) if origin in versions else ("", "")


@cache
def _load() -> tuple[dict[str, Any], ...]:
    text = resources.files("builder.packaging").joinpath("runtimes.toml").read_text()
    return tuple(tomllib.loads(text)["runtimes"])
