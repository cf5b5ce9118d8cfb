"""Makes the symbol index of a source version: compiles every unit once and reads its symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from builder.core.counts import number_of
from builder.core.units import TranslationUnit, UnitGraph
from builder.errors import NativeBuildError, ToolchainError
from builder.native.index import index_symbols, parse_symbols, render_index
from builder.native.job import NativeBuild, compile_folder
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja

# The object of an index must not be taken for one of a build.
_SUFFIX = "@index"


def make_index(build: NativeBuild, graph: UnitGraph, *, only: str = "") -> str:
    """Returns the text of the index of `graph`; takes a compilation of everything, unoptimised.

    Units that do not compile (they lack headers of features that are off) are left out.

    Args:
        build: where to compile, and with what.
        graph: upstream's units.
        only: prefix of unit ids to index; all when empty.
    """
    nm = build.runner.find_program("llvm-nm") or build.runner.find_program("nm")
    if nm is None:
        raise ToolchainError("there is no nm on PATH", hint="apt install llvm")
    units = [_quick(unit) for unit in graph.units.values() if unit.id.startswith(only)]
    folder = dataclasses.replace(compile_folder(build), ninja_file=Path("index.ninja"))
    write_ninja(render_ninja(units, build.toolchain, folder), folder)
    build.progress.step(f"compiling {number_of(len(units), 'unit')} for the index")
    _compile_all(build, folder, units)
    build.progress.step("reading symbols")
    symbols = (
        (unit.id.removesuffix(_SUFFIX), parse_symbols(_run_nm(build, nm, path)))
        for unit in units
        if (path := folder.root / folder.object_path(unit.id)).is_file()
    )
    header = f"Names that each translation unit of PyTorch {build.plan.release.version} defines."
    return render_index(index_symbols(symbols), header=header)


def _quick(unit: TranslationUnit) -> TranslationUnit:
    flags = tuple(flag for flag in unit.flags if not flag.startswith("-O"))
    return dataclasses.replace(unit, id=unit.id + _SUFFIX, flags=(*flags, "-O0"))


def _compile_all(
    build: NativeBuild, folder: CompileFolder, units: Iterable[TranslationUnit]
) -> None:
    try:
        compile_units(
            [unit.id for unit in units],
            build.toolchain,
            folder,
            runner=build.runner,
            jobs=build.jobs,
            progress=build.progress,
            log=build.layout.logs / "index.log",
            keep_going=True,
        )
    except NativeBuildError:
        # Units of features that are off do not compile; the index is without them.
        build.progress.note(f"some units do not compile: {build.layout.logs / 'index.log'}")


def _run_nm(build: NativeBuild, nm: Path, path: Path) -> str:
    command = (str(nm), "--extern-only", "--demangle", "--format=bsd", "--no-sort", str(path))
    return build.runner.check(command, step=f"reading the symbols of {path.name}")
