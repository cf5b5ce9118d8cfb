"""Apple's accelerators: units of upstream's that its CMake lists in other configurations."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath

from builder.core.accelerators import Accelerator
from builder.core.units import TranslationUnit, UnitGraph

_LIKE = "torch/csrc/jit/mobile/import.cpp"
"""Their units see what this unit of the lite interpreter sees."""
_LEVEL = "-O2"
"""Upstream's own optimisation level for ATen."""
_OBJECTIVE = ".mm"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorSources:
    """One accelerator of accelerators.toml."""

    units: tuple[str, ...]
    left_out: Mapping[str, str]
    """Source -> why no build takes it."""
    defines: tuple[str, ...]
    includes: tuple[str, ...]
    manual: tuple[str, ...]
    """Units without automatic reference counting."""


@cache
def load_accelerator_sources() -> dict[Accelerator, AcceleratorSources]:
    """Returns accelerators.toml."""
    text = resources.files("builder.native").joinpath("accelerators.toml").read_text()
    return {
        Accelerator(name): AcceleratorSources(
            units=tuple(entry["units"]),
            left_out=dict(entry["left_out"]),
            defines=tuple(entry["defines"]),
            includes=tuple(entry["includes"]),
            manual=tuple(entry["manual"]),
        )
        for name, entry in tomllib.loads(text).items()
    }


def add_accelerators(
    graph: UnitGraph,
    accelerators: Iterable[Accelerator],
    *,
    pytorch: Path,
    level: str | None = None,
) -> UnitGraph:
    """Returns `graph` with the units of `accelerators`; the library of each is its name.

    Args:
        graph: upstream's units.
        accelerators: the chosen ones.
        pytorch: PyTorch's source tree.
        level: optimisation level of kernels; without it, upstream's.
    """
    like = tuple(flag for flag in graph.units[_LIKE].flags if not flag.startswith("-O"))
    units = dict(graph.units)
    for one in accelerators:
        sources = load_accelerator_sources()[one]
        flags = (
            *like,
            level or _LEVEL,
            *(f"-D{name}" for name in sources.defines),
            *(f"-I{pytorch / folder}" for folder in sources.includes),
        )
        for unit_id in sources.units:
            units[unit_id] = _make_unit(unit_id, one, pytorch, flags, sources)
    return UnitGraph(units=units)


def find_accelerator_units(
    graph: UnitGraph, accelerators: Iterable[Accelerator]
) -> dict[str, Path]:
    """Returns id -> file of the units of `accelerators`."""
    wanted = set(map(str, accelerators))
    return {unit.id: Path(unit.source) for unit in graph.units.values() if unit.library in wanted}


def _make_unit(
    unit_id: str,
    accelerator: Accelerator,
    pytorch: Path,
    flags: tuple[str, ...],
    sources: AcceleratorSources,
) -> TranslationUnit:
    objective = PurePosixPath(unit_id).suffix == _OBJECTIVE
    counting = ("-fno-objc-arc",) if unit_id in sources.manual else ("-fobjc-arc",)
    return TranslationUnit(
        id=unit_id,
        library=str(accelerator),
        language="OBJCXX" if objective else "CXX",
        source=str(pytorch / unit_id),
        flags=(*flags, *(counting if objective else ())),
    )
