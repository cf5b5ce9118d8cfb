"""The native stage: prepare once per configuration, then build one runtime per operator list."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from builder.core.artifacts import CarriedLibrary, LinkResult
from builder.core.selection import Selection
from builder.core.units import UnitGraph
from builder.native.build_units import (
    LIBRARY,
    REGISTRATIONS_UNIT,
    RUNNER_UNIT,
    SMALL_CXX_UNITS,
    make_units,
)
from builder.native.closure import close
from builder.native.dependencies import list_inputs
from builder.native.generated import read_generated
from builder.native.index import load_index
from builder.native.job import NativeBuild, compile_folder
from builder.native.ledger import Ledger
from builder.native.link_elf import link_program, map_path, strip_library
from builder.native.link_macho import DYLIB, write_static
from builder.native.rounds import Linker
from builder.native.run_time_dispatch import ask_at_run_time
from builder.native.slices import Slices
from builder.system.files import replacement


def link_runtime(build: NativeBuild, graph: UnitGraph, selection: Selection) -> LinkResult:
    """Compiles what the selection reaches, links it, strips it, and links the runner.

    Raises:
        NativeBuildError: a unit does not compile, or a symbol is nowhere defined.
    """
    started = time.monotonic()
    units = make_units(
        graph,
        selection,
        build.layout,
        runtime=build.runtime,
        version=build.plan.source_version,
        dtypes=build.plan.dtypes,
        interface=build.interface,
        headers=build.headers,
        backends=build.plan.backends,
    )
    folder = compile_folder(build)
    name = DYLIB if build.plan.target.is_apple else build.interface.soname
    linked = build.layout.plan / "unstripped" / name
    generated = ask_at_run_time(read_generated(build.layout.configured), selection.at_run_time)
    slices = Slices(generated, graph, build.layout.slices)
    index = load_index(build.index_files, graph, generated)
    linker = Linker(
        build=build,
        units=units,
        slices=slices,
        folder=folder,
        ledger=Ledger(folder),
        output=linked,
    )
    roots = {REGISTRATIONS_UNIT, *selection.roots}
    roots |= {f"{LIBRARY}/{name}" for name in build.interface.units}
    if build.tuning.small_cxx:
        roots.add(SMALL_CXX_UNITS[build.tuning.small_cxx])
    closure = close(roots, index, try_link=linker.link)
    rounds = closure.rounds
    units_map = None
    if build.tuning.lto:
        units_map = linked.with_suffix(".units.map")
        map_path(linked).replace(units_map)
        closure = close(closure.units, index, try_link=linker.optimise)
        rounds += closure.rounds
    reached = slices.add(closure.units).union(unit.id for unit in slices.units)
    finished = _finish(linker, reached, rounds, started)
    inputs = list_inputs(
        linker.resolve(closure.units),
        folder,
        {build.layout.source.name, *(one.backend.name for one in build.features)},
        ninja=build.toolchain.ninja,
        runner=build.runner,
    )
    return replace(finished, units_map=units_map, inputs=inputs)


def _finish(linker: Linker, reached: frozenset[str], rounds: int, started: float) -> LinkResult:
    build, folder, linked = linker.build, linker.folder, linker.output
    done = LinkResult(
        library=linked,
        unstripped=linked,
        map_file=map_path(linked),
        runner=None,
        units=tuple(sorted(reached)),
        units_compiled=linker.compiled,
        units_known=linker.units.known,
        rounds=rounds,
        seconds=time.monotonic() - started,
    )
    if build.plan.target.is_apple:
        build.progress.step("writing the static library")
        static = write_static(linked, build.layout.plan, folder, build.toolchain, build.runner)
        return replace(done, library=static.archive, image=static.image, merged=static.merged)
    build.progress.step("stripping the library and linking the runner")
    library = build.layout.plan / build.interface.soname
    with replacement(library) as temporary:
        strip_library(linked, temporary, build.toolchain, runner=build.runner)
    runner = _link_runner(linker, library) if build.interface.has_runner else None
    return replace(
        done,
        library=library,
        runner=runner,
        carried=tuple(_strip_carried(build, library) for library in build.toolchain.beside),
        units_compiled=linker.compiled,
        seconds=time.monotonic() - started,
    )


def _strip_carried(build: NativeBuild, unstripped: Path) -> CarriedLibrary:
    """NDKs come with the symbols of their libraries."""
    library = build.layout.plan / unstripped.name
    with replacement(library) as temporary:
        strip_library(unstripped, temporary, build.toolchain, runner=build.runner)
    return CarriedLibrary(library=library, unstripped=unstripped)


def _link_runner(linker: Linker, library: Path) -> Path:
    build, folder = linker.build, linker.folder
    program = build.layout.plan / "torchlite-run"
    linker.compile([RUNNER_UNIT])
    with replacement(program) as temporary:
        link_program(
            [folder.root / folder.object_path(RUNNER_UNIT)],
            library,
            temporary,
            build.toolchain,
            runner=build.runner,
            log=build.layout.logs / "link-runner.log",
        )
    return program
