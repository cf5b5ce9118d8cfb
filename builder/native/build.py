"""The native stage: prepare once per configuration, then build one runtime per operator list."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from builder.core.artifacts import CarriedLibrary, LinkResult
from builder.core.selection import Selection
from builder.core.units import UnitGraph
from builder.native.build_units import (
    REGISTRATIONS_UNIT,
    RUNNER_UNIT,
    SMALL_CXX_UNITS,
    list_plain_units,
    list_unwinding_units,
    make_units,
    name_own_unit,
)
from builder.native.closure import close
from builder.native.dependencies import list_inputs
from builder.native.generated import read_generated
from builder.native.index import load_index
from builder.native.job import NativeBuild, compile_folder
from builder.native.link_elf import link_program, map_path, strip_library
from builder.native.link_macho import DYLIB
from builder.native.link_macho import write_static as write_apple_static
from builder.native.rounds import Linker
from builder.native.run_time_dispatch import ask_at_run_time
from builder.native.slices import Slices
from builder.native.static_elf import ARCHIVE, write_static
from builder.native.together import Steps
from builder.system.files import replacement


def link_runtime(build: NativeBuild, graph: UnitGraph, selection: Selection) -> Steps[LinkResult]:
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
        version=build.plan.release.version,
        dtypes=build.plan.dtypes,
        interface=build.interface,
        headers=build.headers,
        backends=build.plan.backends,
        core=build.plan.core,
    )
    folder = compile_folder(build)
    name = DYLIB if build.plan.target.is_apple else build.library_name
    linked = build.layout.plan_folder / "unstripped" / name
    # Branches for other devices are text in torchgen's code, so they are put in before it is cut.
    generated = ask_at_run_time(read_generated(build.layout.configured), selection.at_run_time)
    slices = Slices(generated, graph, build.layout.slices)
    index = load_index(build.plan.release.list_indexes(build.plan.target), graph, generated)
    linker = Linker(
        build=build,
        units=units,
        slices=slices,
        folder=folder,
        output=linked,
    )
    # Static initialisers are reached by no symbol: what registers itself has to be named here.
    roots = {REGISTRATIONS_UNIT, *selection.roots}
    own = (
        *build.interface.units,
        *(name for one in build.plan.backends for name in one.runtime_units),
    )
    roots |= {name_own_unit(name, build.plan.core) for name in own}
    roots |= {*list_plain_units(build.plan.core, build.plan.dtypes)}
    if build.tuning.small_cxx:
        roots.add(SMALL_CXX_UNITS[build.tuning.small_cxx])
    if build.tuning.has_unwinding:
        roots |= {*list_unwinding_units()}
    closure = yield from close(roots, index, try_link=linker.link)
    rounds = closure.rounds
    # The optimiser merges functions, so only a link without it can say which unit a section came
    # from.
    units_map = None
    if build.tuning.lto:
        units_map = linked.with_suffix(".units.map")
        # The link that follows writes its own map to the same place.
        map_path(linked).replace(units_map)
        # The optimiser may call what no source names, such as memcpy, so the link has to be proven
        # again.
        closure = yield from close(closure.units, index, try_link=linker.optimise)
        rounds += closure.rounds
    # Groups of torchgen's code are no units: what was compiled for them are the slices.
    reached = slices.add(closure.units).union(unit.id for unit in slices.units)
    finished = yield from _finish(linker, reached, rounds, started)
    inputs = list_inputs(
        linker.resolve(closure.units),
        folder,
        {build.layout.source.name, *(one.backend.name for one in build.features)},
        # Paths begin with the name of a link in the compile folder, which stands for one source
        # tree.
        ninja=build.toolchain.ninja,
        runner=build.runner,
    )
    return replace(finished, units_map=units_map, inputs=inputs)


def _finish(
    linker: Linker, reached: frozenset[str], rounds: int, started: float
) -> Steps[LinkResult]:
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
        # On Apple's platforms an app links the objects itself, so the product is a static library.
        build.progress.step("writing the static library")
        static = write_apple_static(
            linked, build.layout.plan_folder, folder, build.toolchain, build.runner
        )
        return replace(done, library=static.archive, image=static.image, merged=static.merged)
    build.progress.step("stripping the library and linking the runner")
    library = build.layout.plan_folder / build.library_name
    with replacement(library) as temporary:
        strip_library(linked, temporary, build.toolchain, runner=build.runner)
    runner = (yield from _link_runner(linker, library)) if build.interface.has_runner else None
    return replace(
        done,
        # A first result has the unstripped library; what was written from it replaces it.
        library=library,
        link_name=build.interface.file_name,
        runner=runner,
        static=_write_archive(linker),
        carried=tuple(_strip_carried(build, library) for library in build.toolchain.beside),
        units_compiled=linker.compiled,
        seconds=time.monotonic() - started,
    )


def _write_archive(linker: Linker) -> Path | None:
    build = linker.build
    if build.archive_tools is None:
        return None
    build.progress.step("writing the static library")
    output = build.layout.plan_folder / ARCHIVE
    write_static(
        linker.output,
        output,
        linker.folder.root / linker.folder.objects,
        build.toolchain,
        build.archive_tools,
        runner=build.runner,
        log=build.layout.logs / "static.log",
    )
    return output


def _strip_carried(build: NativeBuild, unstripped: Path) -> CarriedLibrary:
    """NDKs come with the symbols of their libraries."""
    library = build.layout.plan_folder / unstripped.name
    with replacement(library) as temporary:
        strip_library(unstripped, temporary, build.toolchain, runner=build.runner)
    return CarriedLibrary(library=library, unstripped=unstripped)


def _link_runner(linker: Linker, library: Path) -> Steps[Path]:
    build, folder = linker.build, linker.folder
    program = build.layout.plan_folder / "torchlite-run"
    # The runner is no part of the library, so no round has compiled it.
    yield from linker.compile([RUNNER_UNIT])
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
