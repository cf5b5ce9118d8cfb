"""What the first build of a configuration costs, said before it begins."""

from __future__ import annotations

from pathlib import Path

from builder.core.plan import BuildPlan
from builder.core.sources import SourcePin
from builder.native.build_folders import Layout
from builder.sources.store import ArchiveStore
from builder.sources.trees import find_sources

_MB = 1_000_000
_OBJECTS = 340 * _MB
"""Bytes of a configured folder with compiled headers and the objects of MobileNetV2, on Linux and
Android."""
_CPU_MINUTES = (8, 14)
"""For MobileNetV2 without a compiler cache, measured on two CPUs of 2026."""


def describe_first_build(plan: BuildPlan, cache: Path) -> str:
    """Returns a sentence on downloads, disk and time; empty where a build has begun already.

    Args:
        plan: what is built.
        cache: the folder that everything goes to.
    """
    if Layout.of(cache, plan).configured_marker.exists():
        return ""
    missing = _list_missing(plan)
    store = ArchiveStore(folder=cache / "downloads")
    wanted = sum(pin.size for pin in missing if not store.path(pin).exists())
    disk = wanted + sum(pin.unpacked for pin in missing) + _OBJECTS
    least, most = _CPU_MINUTES
    return (
        f"this is the first build for {plan.target} with these tools: it downloads "
        f"{wanted / _MB:.0f} MB, takes some {disk / _MB:.0f} MB on disk in {cache}, and {least} to "
        f"{most} minutes of CPU time for a model such as MobileNetV2, or less with a filled "
        "compiler cache"
    )


def _list_missing(plan: BuildPlan) -> list[SourcePin]:
    """Returns the pins of the source trees that are not there."""
    features = ("", *(name for name, _ in plan.features))
    return [
        pin
        for feature in features
        if find_sources(plan.release, feature) is None
        for pin in plan.release.lock.select(feature).pins
    ]
