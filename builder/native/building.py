"""The native stage: prepare once per configuration, then build one runtime per operator list."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.core.artifacts import CarriedLibrary, LinkResult
from builder.core.features import LocatedFeature
from builder.core.plan import BuildPlan
from builder.core.selection import Selection
from builder.core.sources import SourceTree
from builder.core.toolchain import Toolchain
from builder.core.units import UnitGraph
from builder.errors import NativeBuildError
from builder.native.accelerators import add_accelerators
from builder.native.closure import close
from builder.native.configure import configure, generate, make_includes_relative
from builder.native.features import add_features
from builder.native.flags import Tuning, load_tuning
from builder.native.generated import read_generated
from builder.native.index import load_index
from builder.native.inputs import list_inputs
from builder.native.interfaces import LIBRARIES, Library
from builder.native.journal import drop_torn_objects
from builder.native.layout import Layout
from builder.native.link import (
    link_program,
    map_path,
    strip_library,
)
from builder.native.macho import DYLIB, write_static
from builder.native.ninja import CompileFolder, Prefix
from builder.native.reply import Roots, read_unit_graph
from builder.native.rounds import Linker, compile_wave
from builder.native.run_time_dispatch import ask_at_run_time
from builder.native.slices import Slices
from builder.native.units import (
    LIBRARY,
    REGISTRATIONS_UNIT,
    RUNNER_UNIT,
    SMALL_CXX_UNITS,
    BuildUnits,
    make_units,
)
from builder.system.files import free_bytes, link_folder, replacement, write_atomically
from builder.system.locks import folder_lock
from builder.system.process import Runner
from builder.system.progress import Progress

NEEDED_BYTES = 1 << 30
"""Free space to start with; a complete build of one model takes some 300 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeBuild:
    """Everything the native stage works with."""

    plan: BuildPlan
    tree: SourceTree
    toolchain: Toolchain
    layout: Layout
    runtime: Path
    """builder's own C++ sources."""
    index_files: tuple[Path, ...]
    """The symbol index of every target, and what more holds on the plan's platform."""
    features: tuple[LocatedFeature, ...] = ()
    """Optional sources that the plan wants."""
    headers: tuple[Path, ...] = ()
    """Folders of headers that the plan's interface needs and the toolchain does not have."""
    runner: Runner
    progress: Progress
    jobs: int | None = None
    compiled: list[int] = field(default_factory=list)
    """How many units each wave compiled."""

    @property
    def interface(self) -> Library:
        """The library to link."""
        return LIBRARIES[self.plan.interface]

    @property
    def tuning(self) -> Tuning:
        """What the plan's profile makes of upstream's flags."""
        return load_tuning(self.plan.flavour, self.toolchain, self.plan.static_dispatch)


def prepare(build: NativeBuild) -> UnitGraph:
    """Configures and generates unless that is done, and returns the units to choose from.

    Raises:
        NativeBuildError: no space, or one of upstream's steps failed.
    """
    layout = build.layout
    free = free_bytes(layout.root)
    if free < NEEDED_BYTES:
        raise NativeBuildError(
            f"{free:,} bytes free for {layout.root}, {NEEDED_BYTES:,} needed",
            hint="free some space, or choose another disk with BUILDER_CACHE=<folder>",
        )
    if not layout.configured_marker.is_file():
        build.progress.step("configuring PyTorch and generating its sources")
        shutil.rmtree(layout.configured, ignore_errors=True)
        dispatch = build.plan.static_dispatch
        configure(
            build.tree,
            build.toolchain,
            layout.configured,
            dispatch=dispatch,
            runner=build.runner,
            log=layout.logs / "configure.log",
        )
        _generate(build)
        make_includes_relative(layout.configured, build.tree.root)
        write_atomically(layout.configured_marker, json.dumps(build.plan.to_json(), indent=2))
    link_folder(layout.source, os.path.relpath(build.tree.root, layout.root))
    link_folder(layout.runtime, str(build.runtime))
    if build.toolchain.sdk:
        link_folder(layout.sdk, str(build.toolchain.sdk.root))
    for one in build.features:
        link_folder(layout.root / one.feature.name, os.path.relpath(one.tree.root, layout.root))
    dropped = drop_torn_objects(layout.root)
    if dropped:
        build.progress.note(f"dropped {dropped} objects that a power loss may have torn")
    graph = read_unit_graph(Roots(build.tree.root, layout.configured), build.tuning)
    root, level = build.tree.root, build.tuning.kernels
    dispatch = build.plan.static_dispatch
    graph = add_features(graph, build.features, dispatch, pytorch=root, level=level)
    return add_accelerators(graph, build.plan.accelerators, pytorch=root, level=level)


def _generate(build: NativeBuild) -> None:
    """Brings generated sources into the configured folder; no other target writes them again."""
    layout = build.layout
    with folder_lock(layout.generated, on_wait=build.progress.note):
        if not layout.generated_marker.is_file():
            shutil.rmtree(layout.generated)
            generate(
                build.tree,
                build.toolchain,
                layout.generated,
                dispatch=build.plan.static_dispatch,
                runner=build.runner,
                log_folder=layout.logs,
            )
            os.sync()
            write_atomically(layout.generated_marker, "")
        shutil.copytree(layout.generated, layout.configured, dirs_exist_ok=True)


def build_runtime(build: NativeBuild, graph: UnitGraph, selection: Selection) -> LinkResult:
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
        accelerators=build.plan.accelerators,
    )
    folder = compile_folder(build)
    name = DYLIB if build.plan.target.is_apple else build.interface.soname
    linked = build.layout.plan / "unstripped" / name
    generated = ask_at_run_time(read_generated(build.layout.configured), selection.at_run_time)
    slices = Slices(generated, graph, build.layout.slices)
    index = load_index(build.index_files, graph, generated)
    linker = Linker(build=build, units=units, slices=slices, folder=folder, output=linked)
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
    finished = _finish(build, units, folder, linked, reached, rounds, started)
    inputs = list_inputs(
        linker.resolve(closure.units),
        folder,
        {build.layout.source.name, *(one.feature.name for one in build.features)},
        ninja=build.toolchain.ninja,
        runner=build.runner,
    )
    return replace(finished, units_map=units_map, inputs=inputs)


def compile_folder(build: NativeBuild) -> CompileFolder:
    """Returns the folder that objects of `build` go to."""
    layout = build.layout
    return CompileFolder(
        root=layout.root,
        ninja_file=(layout.plan / "build.ninja").relative_to(layout.root),
        objects=layout.objects.relative_to(layout.root).as_posix(),
        prefixes=(
            Prefix(layout.configured, layout.configured.name, "generated"),
            Prefix(layout.root, "."),
            Prefix(build.tree.root, layout.source.name),
            Prefix(build.runtime, layout.runtime.name),
            *(Prefix(one.tree.root, one.feature.name) for one in build.features),
            *((Prefix(sdk.root, layout.sdk.name),) if (sdk := build.toolchain.sdk) else ()),
        ),
    )


def _finish(
    build: NativeBuild,
    units: BuildUnits,
    folder: CompileFolder,
    linked: Path,
    reached: frozenset[str],
    rounds: int,
    started: float,
) -> LinkResult:
    done = LinkResult(
        library=linked,
        unstripped=linked,
        map_file=map_path(linked),
        runner=None,
        units=tuple(sorted(reached)),
        units_compiled=sum(build.compiled),
        units_known=units.known,
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
    runner = _link_runner(build, folder, library) if build.interface.has_runner else None
    return replace(
        done,
        library=library,
        runner=runner,
        carried=tuple(_strip_carried(build, library) for library in build.toolchain.beside),
        units_compiled=sum(build.compiled),
        seconds=time.monotonic() - started,
    )


def _strip_carried(build: NativeBuild, unstripped: Path) -> CarriedLibrary:
    """NDKs come with the symbols of their libraries."""
    library = build.layout.plan / unstripped.name
    with replacement(library) as temporary:
        strip_library(unstripped, temporary, build.toolchain, runner=build.runner)
    return CarriedLibrary(library=library, unstripped=unstripped)


def _link_runner(build: NativeBuild, folder: CompileFolder, library: Path) -> Path:
    program = build.layout.plan / "torchlite-run"
    compile_wave(build, folder, [RUNNER_UNIT])
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
