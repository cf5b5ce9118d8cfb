"""Which components are in a library that was linked, for its bill of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.api.sources import load_source_lock
from builder.core.components import BUILDER, describe_pin, describe_sources
from builder.packaging.runtimes import find_archives, name_runtimes
from builder.size.elf.linkmap import read_pieces
from builder.toolchains.apple_facts import OPEN_FEATURE

if TYPE_CHECKING:
    from builder.core.components import Component
    from builder.native.job import LinkedRuntime


def find_components(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns builder itself, the sources of linked units, and libraries of the toolchain.

    A source of which only headers were read is among them; one of which nothing was read is not.
    """
    found = {BUILDER, *_find_sources(one), *_find_runtimes(one)}
    return tuple(sorted(found))


def find_carried(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns what of others is in the libraries of the toolchain that go beside a runtime."""
    names = [carried.library.name for carried in one.linked.carried]
    return name_runtimes(names, one.build.toolchain)


def _find_sources(one: LinkedRuntime) -> tuple[Component, ...]:
    lock = load_source_lock()
    features = ("", *(located.feature.name for located in one.build.features))
    pins = [pin for name in features for pin in lock.select(name).pins]
    found = describe_sources(pins, one.linked.inputs)
    sdk = one.build.toolchain.sdk
    headers = lock.select(OPEN_FEATURE).pins if sdk and sdk.is_open else ()
    return (*found, *map(describe_pin, headers))


def _find_runtimes(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns what the link took of static libraries; nothing where they are the system's.

    Link-time optimisation hides the owners of what was bitcode, so the link before it counts too.
    """
    if one.build.plan.target.is_apple:
        return ()
    maps = (one.linked.map_file, one.linked.units_map)
    pieces = [piece for path in maps if path is not None for piece in read_pieces(path)]
    archives = find_archives(piece.owner for piece in pieces if piece.size)
    return name_runtimes(archives, one.build.toolchain)
