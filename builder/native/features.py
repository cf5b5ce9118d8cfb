"""What optional sources add to upstream's units: units of their own, and folders of headers."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from builder.core.features import LocatedFeature
from builder.core.units import TranslationUnit, UnitGraph

_LIKE = "torch/csrc/jit/mobile/import.cpp"
"""Their units see what this unit of the lite interpreter sees: a mobile build, no Python."""
_LEVEL = "-O2"
"""Upstream's own optimisation level for ATen."""


def add_features(
    graph: UnitGraph,
    located: Sequence[LocatedFeature],
    backends: Collection[str],
    *,
    pytorch: Path,
    level: str | None = None,
) -> UnitGraph:
    """Returns `graph` with the units of the chosen features, and with their headers within reach.

    Args:
        graph: upstream's units.
        located: the chosen features; others add nothing.
        backends: those of static dispatch; units for other backends are left out.
        pytorch: PyTorch's source tree.
        level: optimisation level of kernels, which the units are; without it, upstream's.
    """
    units = dict(graph.units)
    like = tuple(flag for flag in graph.units[_LIKE].flags if not flag.startswith("-O"))
    for one in located:
        folders = _includes(one.tree.root, one.feature.includes)
        for unit_id in one.feature.needed_by:
            unit = units[unit_id]
            units[unit_id] = dataclasses.replace(unit, flags=(*folders, *unit.flags))
        flags = (*like, level or _LEVEL, *_includes(pytorch, one.feature.pytorch_includes))
        units |= {unit.id: unit for unit in _own_units(one, backends, flags)}
    return UnitGraph(units=units)


def _includes(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"-I{root / folder}" for folder in folders)


def _own_units(
    one: LocatedFeature, backends: Collection[str], flags: tuple[str, ...]
) -> Iterator[TranslationUnit]:
    for backend, globs in sorted(one.feature.units.items()):
        for path in (path for glob in globs for path in sorted(one.tree.root.glob(glob))):
            if backend in backends:
                yield TranslationUnit(
                    id=path.relative_to(one.tree.root).as_posix(),
                    library=one.feature.name,
                    language="CXX",
                    source=str(path),
                    flags=flags,
                )
