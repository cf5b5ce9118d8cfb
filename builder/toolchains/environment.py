"""Findings of `builder doctor` about the machine and its Python packages."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from builder.core.artifacts import Finding
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.system.files import free_bytes
from builder.system.machine import count_cores, memory_bytes
from builder.system.own_cache import OTHER_CACHE, refuse_unusable
from builder.system.python_packages import InstalledPackage, file_contains, find_package
from builder.system.torch_packages import how_to_install

_GIB = 1 << 30
_WANTED_DISK = 3 * _GIB
"""Space for the sources, their archives and one build."""
_WANTED_MEMORY = 2 * _GIB
# The same as `requires-python` in pyproject.toml; a checkout can be run without an installation.
_OLDEST_PYTHON = (3, 11)
_XNNPACK_OPERATOR = b"prepacked::conv2d_clamp_prepack"
"""A name that only a torch with XNNPACK contains."""


def inspect_machine(cache: Path) -> tuple[Finding, ...]:
    """Returns findings about Python, CPUs, memory, and free space for `cache`."""
    memory = memory_bytes()
    current = sys.version_info >= _OLDEST_PYTHON
    return (
        Finding(
            subject="python",
            ok=current,
            detail=f"{platform.python_version()} ({sys.executable})",
            remedy="" if current else "apt install python3.11",
        ),
        Finding(
            subject="machine",
            ok=memory >= _WANTED_MEMORY,
            detail=f"{count_cores()} cores, {memory / _GIB:.1f} GiB memory",
            # The compiler takes most of the memory, once for each job.
            remedy="" if memory >= _WANTED_MEMORY else Hint(Run("build", (Use("jobs", 1),))),
        ),
        _inspect_cache(cache),
    )


def _inspect_cache(cache: Path) -> Finding:
    try:
        refuse_unusable(cache)
    except ConfigurationError as error:
        return Finding(subject="cache", ok=False, detail=error.message, remedy=OTHER_CACHE)
    free = free_bytes(cache)
    remedy = "" if free >= _WANTED_DISK else "export BUILDER_CACHE=<folder with 3 GiB free>"
    detail = f"{cache}, {free / _GIB:.1f} GiB free"
    return Finding(subject="cache", ok=not remedy, detail=detail, remedy=remedy)


def inspect_torch() -> tuple[Finding, ...]:
    """Returns findings about torch and torchvision, which are not imported."""
    torch, vision = find_package("torch"), find_package("torchvision")
    return (_describe_torch(torch), _describe_vision(vision))


def _describe_torch(torch: InstalledPackage | None) -> Finding:
    if torch is None:
        return Finding(
            subject="torch",
            ok=False,
            detail="not installed (only exports need it)",
            remedy=how_to_install("torch"),
        )
    # Importing torch takes a second and may crash, so its library is searched for a name.
    if file_contains(torch.folder / "lib" / "libtorch_cpu.so", _XNNPACK_OPERATOR):
        return Finding(subject="torch", ok=True, detail=f"{torch.version}, can export")
    return Finding(
        subject="torch",
        ok=True,
        detail=f"{torch.version}, can export; it has no XNNPACK, so optimised files are compared "
        "on a runtime by builder verify",
    )


def _describe_vision(vision: InstalledPackage | None) -> Finding:
    if vision is None:
        return Finding(
            subject="torchvision",
            ok=False,
            detail="not installed (only exports of its models need it)",
            remedy=how_to_install("torchvision"),
        )
    return Finding(subject="torchvision", ok=True, detail=vision.version)
