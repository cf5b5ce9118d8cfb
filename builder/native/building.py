"""The native stage: prepare once per configuration, then build one runtime per operator list."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.artifacts import LinkResult
from builder.core.plan import BuildPlan
from builder.core.selection import Selection
from builder.core.sources import SourceTree
from builder.core.toolchain import Toolchain
from builder.core.units import UnitGraph
from builder.errors import NativeBuildError
from builder.native.closure import close
from builder.native.configure import configure, generate
from builder.native.index import load_index
from builder.native.journal import drop_torn_objects, wave
from builder.native.layout import Layout
from builder.native.link import link_library, link_program, strip_library
from builder.native.ninja import CompileFolder, Prefix, compile_units, render_ninja, write_ninja
from builder.native.reply import Roots, read_unit_graph
from builder.native.units import API_UNIT, REGISTRATIONS_UNIT, RUNNER_UNIT, BuildUnits, make_units
from builder.system.files import free_bytes, replacement, write_atomically, write_if_changed
from builder.system.process import Runner
from builder.system.progress import Progress

SONAME = "libtorchlite.so"
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
    index_file: Path
    runner: Runner
    progress: Progress
    jobs: int | None = None
    compiled: list[int] = field(default_factory=list)
    """How many units each wave compiled."""


def prepare(build: NativeBuild) -> UnitGraph:
    """Configures and generates unless that is done, and returns upstream's units.

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
        generate(
            build.tree,
            build.toolchain,
            layout.configured,
            dispatch=dispatch,
            runner=build.runner,
            log_folder=layout.logs,
        )
        write_atomically(layout.configured_marker, json.dumps(build.plan.to_json(), indent=2))
    dropped = drop_torn_objects(layout.root)
    if dropped:
        build.progress.note(f"dropped {dropped} objects that a power loss may have torn")
    return read_unit_graph(Roots(build.tree.root, layout.configured))


def build_runtime(build: NativeBuild, graph: UnitGraph, selection: Selection) -> LinkResult:
    """Compiles what the selection reaches, links it, strips it, and links the runner.

    Raises:
        NativeBuildError: a unit does not compile, or a symbol is nowhere defined.
    """
    started = time.monotonic()
    layout = build.layout
    for path in build.runtime.iterdir():
        write_if_changed(layout.runtime / path.name, path.read_text())
    units = make_units(
        graph, selection, layout, runtime=layout.runtime, version=build.plan.source_version
    )
    folder = compile_folder(build)
    write_ninja(render_ninja(units.graph.units.values(), build.toolchain, folder), folder)
    linked = build.layout.plan / "unstripped" / SONAME
    closure = close(
        {API_UNIT, REGISTRATIONS_UNIT, *selection.roots},
        load_index(build.index_file, graph),
        try_link=_linker(build, units, folder, linked),
    )
    return _finish(build, units, folder, linked, closure.units, closure.rounds, started)


def compile_folder(build: NativeBuild) -> CompileFolder:
    """Returns the folder that objects of `build` go to."""
    layout = build.layout
    plan = layout.plan.relative_to(layout.root)
    return CompileFolder(
        root=layout.root,
        ninja_file=plan / "build.ninja",
        prefixes=(
            Prefix(layout.configured, layout.configured.name, "generated"),
            Prefix(layout.runtime, layout.runtime.name, "torchlite"),
            Prefix(layout.plan, plan.as_posix(), "torchlite"),
            Prefix(layout.root, ".", "."),
            Prefix(build.tree.root, os.path.relpath(build.tree.root, layout.root), "pytorch"),
        ),
    )


def _linker(
    build: NativeBuild, units: BuildUnits, folder: CompileFolder, linked: Path
) -> Callable[[frozenset[str]], tuple[str, ...]]:
    rounds = iter(range(1, 1000))

    def try_link(wanted: frozenset[str]) -> tuple[str, ...]:
        number = next(rounds)
        build.progress.step(f"round {number}: {len(wanted)} of {units.known} units reached")
        ids = sorted(map(units.resolve, wanted))
        _compile(build, folder, ids)
        objects = [folder.root / folder.object_path(unit_id) for unit_id in ids]
        linked.parent.mkdir(parents=True, exist_ok=True)
        outcome = link_library(
            objects,
            linked,
            build.toolchain,
            soname=SONAME,
            runner=build.runner,
            log=build.layout.logs / "link.log",
        )
        return outcome.undefined

    return try_link


def _compile(build: NativeBuild, folder: CompileFolder, ids: list[str]) -> None:
    with wave(folder.root):
        count = compile_units(
            ids,
            build.toolchain,
            folder,
            runner=build.runner,
            jobs=build.jobs,
            progress=build.progress,
            log=build.layout.logs / f"compile-{len(build.compiled) + 1:02}.log",
        )
    build.compiled.append(count)


def _finish(
    build: NativeBuild,
    units: BuildUnits,
    folder: CompileFolder,
    linked: Path,
    reached: frozenset[str],
    rounds: int,
    started: float,
) -> LinkResult:
    build.progress.step("stripping the library and linking the runner")
    library, program = build.layout.plan / SONAME, build.layout.plan / "torchlite-run"
    with replacement(library) as temporary:
        strip_library(linked, temporary, build.toolchain, runner=build.runner)
    _compile(build, folder, [RUNNER_UNIT])
    with replacement(program) as temporary:
        link_program(
            [folder.root / folder.object_path(RUNNER_UNIT)],
            library,
            temporary,
            build.toolchain,
            runner=build.runner,
            log=build.layout.logs / "link-runner.log",
        )
    return LinkResult(
        library=library,
        unstripped=linked,
        map_file=linked.with_name(f"{SONAME}.map"),
        runner=program,
        units=tuple(sorted(reached)),
        units_compiled=sum(build.compiled),
        units_known=units.known,
        rounds=rounds,
        seconds=time.monotonic() - started,
    )
