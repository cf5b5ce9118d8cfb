"""The third-party components in a library, for the software bill of materials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from builder import __version__
from builder.core.sources import BundledSource, SourcePin

_GITHUB = re.compile(r"/([^/]+)/([^/]+?)(\.git)?/?")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Component:
    """A source that was compiled into a library, or a library that was linked into it."""

    name: str
    version: str = ""
    """Version for people; empty when it is not known."""
    group: str = ""
    """The product that the component and its version belong to, e.g. `gcc` or `android-ndk`."""
    licence: str = ""
    """SPDX licence expression; empty when builder does not know the licence."""
    url: str = ""
    """URL of the upstream git repository."""
    commit: str = ""
    archive: str = ""
    """File name of the pinned archive."""
    sha256: str = ""
    """SHA-256 of `archive`, in lower-case hexadecimal."""
    prebuilt: bool = False
    """Whether it is a compiled library of the toolchain instead of source code."""

    @property
    def github(self) -> tuple[str, str] | None:
        """Owner and name of the repository when it is on GitHub, otherwise None."""
        address = urlsplit(self.url)
        # Vulnerability databases know projects on GitHub by owner and name.
        match = _GITHUB.fullmatch(address.path) if address.netloc == "github.com" else None
        return (match[1], match[2]) if match else None


BUILDER = Component(name="builder", version=__version__, licence="BSD-3-Clause")
"""builder's own C++, Java and Swift sources, which are in every runtime; see `LICENSE`."""


def describe_sources(pins: Iterable[SourcePin], read: Iterable[str]) -> tuple[Component, ...]:
    """Returns the sources that the given files belong to, sorted.

    A source can contain another one. A file belongs to the innermost source around it.

    Args:
        pins: all pinned sources.
        read: paths of the files, relative to the source tree, POSIX.
    """
    places = {}
    for pin in pins:
        places[pin.path] = describe_pin(pin)
        # PyTorch's tree holds copies of other projects, which have licences of their own.
        for bundled in pin.bundled:
            path = bundled.path if pin.path == "." else f"{pin.path}/{bundled.path}"
            places[path] = _describe(bundled)
    used = {_find_place(path, places) for path in read}
    return tuple(sorted(places[place] for place in used))


def describe_pin(pin: SourcePin) -> Component:
    """Returns a pinned source as a component."""
    return Component(
        name=pin.name,
        version=pin.version,
        licence=pin.licence,
        url=pin.url,
        commit=pin.commit,
        archive=pin.file,
        sha256=pin.sha256,
    )


def _describe(bundled: BundledSource) -> Component:
    return Component(
        name=bundled.name, version=bundled.version, licence=bundled.licence, url=bundled.url
    )


def _find_place(path: str, places: Iterable[str]) -> str:
    """Returns the longest of `places` that contains `path`; `.`, which is PyTorch, contains all."""
    holding = (place for place in places if place != "." and path.startswith(f"{place}/"))
    return max(holding, key=len, default=".")
