"""What of others is in a library, for the bill of materials."""

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
    """For people; empty where nobody says."""
    group: str = ""
    """What the version is of, where that is more than the component: `gcc`, `android-ndk`."""
    licence: str = ""
    """SPDX expression; empty where builder does not know it."""
    url: str = ""
    """Upstream git repository."""
    commit: str = ""
    archive: str = ""
    """Name of the archive that was pinned."""
    sha256: str = ""
    """Of `archive`, lower-case hex."""
    prebuilt: bool = False
    """Whether it came with the compiler, to be linked, instead of as source."""

    @property
    def github(self) -> tuple[str, str] | None:
        """Owner and name of the repository, where it is on GitHub."""
        address = urlsplit(self.url)
        found = _GITHUB.fullmatch(address.path) if address.netloc == "github.com" else None
        return (found[1], found[2]) if found else None


BUILDER = Component(name="builder", version=__version__, licence="BSD-3-Clause")
"""builder's own C++, Java and Swift sources, which are in every runtime; see `LICENSE`."""


def describe_sources(pins: Iterable[SourcePin], read: Iterable[str]) -> tuple[Component, ...]:
    """Returns the sources that some files belong to, sorted: the innermost for each file.

    Args:
        pins: all that there are.
        read: the files, relative to the source tree, POSIX.
    """
    places = {}
    for pin in pins:
        places[pin.path] = describe_pin(pin)
        for one in pin.bundled:
            places[one.path if pin.path == "." else f"{pin.path}/{one.path}"] = _describe(one)
    found = {_find_place(path, places) for path in read}
    return tuple(sorted(places[place] for place in found))


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


def _describe(one: BundledSource) -> Component:
    return Component(name=one.name, version=one.version, licence=one.licence, url=one.url)


def _find_place(path: str, places: Iterable[str]) -> str:
    """Returns the longest of `places` that holds `path`; `.`, PyTorch's own, holds all."""
    holding = (place for place in places if place != "." and path.startswith(f"{place}/"))
    return max(holding, key=len, default=".")
