"""Finds the libraries of the toolchain that became part of a runtime, as components."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from builder.core.components import Component
from builder.core.toolchain import Toolchain
from builder.core.typed import parse_toml

_ARCHIVE = re.compile(r"([^/\\]+\.a)\([^()]*\)$")
"""`libm.a(file.o)`, as lld's map names the member of a static library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """One entry of runtimes.toml, which says what each key means."""

    name: str
    files: tuple[str, ...]
    origin: str
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuntimesFile:
    """The content of runtimes.toml."""

    runtimes: tuple[_Library, ...]


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
    # An unknown library is named all the same: a list of components that leaves something out is
    # worse than one without a licence.
    unlisted = _Library(name=file.removesuffix(".a"), files=(), origin="")
    library = next((known for known in _load() if _fits(file, known)), unlisted)
    group, version = _find_version(library.origin, toolchain)
    return Component(
        name=library.name,
        group=group,
        version=version,
        licence=library.licence,
        prebuilt=True,
    )


def _fits(file: str, library: _Library) -> bool:
    return any(fnmatchcase(file, pattern) for pattern in library.files)


def _find_version(origin: str, toolchain: Toolchain) -> tuple[str, str]:
    """Returns the product that a library belongs to and its version; both empty if unknown."""
    if toolchain.ndk:
        return "android-ndk", toolchain.ndk.version
    gnu = toolchain.gnu
    versions = {"gcc": str(gnu.libstdcxx), "glibc": gnu.glibc_version} if gnu else {}
    return (origin, versions[origin]) if origin in versions else ("", "")


@cache
def _load() -> tuple[_Library, ...]:
    text = resources.files("builder.packaging").joinpath("runtimes.toml").read_text()
    return parse_toml(text, _RuntimesFile, "runtimes.toml").runtimes
