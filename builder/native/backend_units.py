"""What the backends of a build add to upstream's units: units of their own, and headers."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from builder.core.backends import ANY_DISPATCH, Backend, LocatedBackend
from builder.core.plan import VulkanPrecision
from builder.core.units import TranslationUnit, UnitGraph
from builder.native import kernel_calls, shaders
from builder.system.files import digest_files

_LIKE = "torch/csrc/jit/mobile/import.cpp"
"""Their units see what this unit of the lite interpreter sees: a mobile build, no Python."""
_LEVEL = "-O2"
"""Upstream's own optimisation level for ATen."""
_OBJECTIVE_CXX = ".mm"


def add_backends(
    graph: UnitGraph,
    located: Iterable[LocatedBackend],
    dispatch: Collection[str],
    *,
    pytorch: Path,
    made: Path,
    runtime: Path,
    level: str | None = None,
    precision: VulkanPrecision = VulkanPrecision.FP32,
) -> UnitGraph:
    """Returns `graph` with the units of the chosen backends, and with their headers within reach.

    The library of each unit that is added is the name of its backend.

    Args:
        graph: upstream's units.
        located: the chosen backends; others add nothing.
        dispatch: the backends of static dispatch; units for others are left out.
        pytorch: PyTorch's source tree.
        made: the folder of sources that builder made for backends.
        runtime: builder's own C++ (`cmake/runtime`).
        level: optimisation level of kernels, which the units are; without it, upstream's.
        precision: the numbers in the images of shaders.
    """
    units = dict(graph.units)
    # The level is chosen below: kernels of a backend have the level of kernels.
    like = tuple(flag for flag in graph.units[_LIKE].flags if not flag.startswith("-O"))
    for one in located:
        backend = one.backend
        folders = _include(one.tree.root, backend.includes)
        # These units of PyTorch have code for the backend, or include its headers.
        for unit_id in backend.needed_by:
            unit = units[unit_id]
            units[unit_id] = dataclasses.replace(unit, flags=(*folders, *unit.flags))
        flags = (
            *(*like, level or _LEVEL),
            *(f"-D{name}" for name in backend.defines),
            *_choose_precision(backend, precision),
            *_include(pytorch, backend.pytorch_includes),
            *folders,
            *_include_runtime(runtime, backend),
            *((f"-I{made / shaders.FOLDER}",) if backend.shaders else ()),
        )
        for unit_id, source in find_units(one, dispatch, pytorch=pytorch).items():
            # A unit that stands for a file of kernels has the id of the file.
            calls = made / kernel_calls.FOLDER / unit_id
            unit = _make_unit(unit_id, calls if calls.is_file() else source, backend, flags)
            units[unit_id] = unit
        if backend.shaders:
            path = made / shaders.FOLDER / shaders.UNIT
            unit_id = f"generated/{shaders.FOLDER}/{shaders.UNIT}"
            units[unit_id] = _make_unit(unit_id, path, backend, flags)
    return UnitGraph(units=units)


def _choose_precision(backend: Backend, precision: VulkanPrecision) -> tuple[str, ...]:
    # It has to be the precision that the shaders were compiled for (api/Types.h).
    half = bool(backend.shaders) and precision is VulkanPrecision.FP16
    return ("-DUSE_VULKAN_FP16_INFERENCE",) if half else ()


def find_root_units(graph: UnitGraph, backend: Backend) -> dict[str, Path]:
    """Returns id -> file of the units of `backend` that are linked whatever refers to them."""
    return {
        unit.id: Path(unit.source)
        for unit in graph.units.values()
        if unit.library == backend.name
        and any(fnmatchcase(unit.id, pattern) for pattern in backend.roots)
    }


def _include(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"-I{root / folder}" for folder in folders)


def _include_runtime(runtime: Path, backend: Backend) -> tuple[str, ...]:
    folders = [runtime / folder for folder in backend.runtime_includes]
    if backend.dispatch and backend.dispatch.kernels:
        folders.append(runtime)
    if not folders:
        return ()
    # As for builder's own units: what a package manager puts in place may be older than an object.
    digest = digest_files(*folders, suffixes=(".h",))[:12]
    return (*(f"-I{folder}" for folder in folders), f"-DTORCHLITE_HEADERS={digest}")


def find_units(one: LocatedBackend, dispatch: Collection[str], *, pytorch: Path) -> dict[str, Path]:
    """Returns id -> file of the units that a backend adds to upstream's.

    Args:
        one: the backend.
        dispatch: the backends of static dispatch; units for others are left out.
        pytorch: PyTorch's source tree.
    """
    root = pytorch if one.backend.units_of_pytorch else one.tree.root
    return {unit_id: root / unit_id for unit_id in _list_units(root, one.backend, dispatch)}


def _list_units(root: Path, backend: Backend, dispatch: Collection[str]) -> Iterator[str]:
    for needed, patterns in sorted(backend.units.items()):
        # Kernels for quantised tensors are left out where none can occur.
        for pattern in patterns if needed in {ANY_DISPATCH, *dispatch} else ():
            if "*" not in pattern:  # where the file is missing, the compiler will say so
                yield pattern
                continue
            # Sorted, because the order of a folder is not the same on every machine.
            for path in sorted(root.glob(pattern)):
                yield path.relative_to(root).as_posix()


def _make_unit(
    unit_id: str, source: Path, backend: Backend, flags: tuple[str, ...]
) -> TranslationUnit:
    objective = PurePosixPath(unit_id).suffix == _OBJECTIVE_CXX
    # Some of PyTorch's files count references by hand, which clang refuses with ARC.
    counting = "-fno-objc-arc" if unit_id in backend.without_arc else "-fobjc-arc"
    return TranslationUnit(
        id=unit_id,
        library=backend.name,
        language="OBJCXX" if objective else "CXX",
        source=str(source),
        flags=(*flags, *((counting,) if objective else ())),
    )
