"""What the project's own indexes are made of: every symbol and every operator of a release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.api.link import make_native_build
from builder.api.operator_choice import list_hand_written, read_build_catalogue
from builder.api.plans import plan_build
from builder.api.toolchains import locate_toolchain
from builder.core.backends import Chosen
from builder.core.plan import DispatchBackend
from builder.core.toolchain import ToolchainOptions
from builder.native.job import NativeBuild
from builder.native.make_index import make_index
from builder.native.prepare_sources import prepare_units
from builder.selection.catalogue import read_namespaces
from builder.system.locks import folder_lock
from builder.system.process import Runner
from builder.toolchains.shader_compiler import with_shader_compiler

if TYPE_CHECKING:
    from builder.core.known import KnownOperators
    from builder.core.release import Release
    from builder.core.targets import Target
    from builder.system.progress import Progress


def make_symbol_index(
    release: Release,
    target: Target,
    *,
    progress: Progress,
    only: str = "",
    jobs: int | None = None,
) -> str:
    """Returns the text of the symbol index, made anew for `target` with every feature.

    Args:
        release: the release of PyTorch whose index to make.
        target: whose units to compile.
        progress: is told of each unit.
        only: prefix of unit ids; all when empty.
        jobs: compilations at once.
    """
    build = _everything(release, target, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, on_wait=progress.note):
        return make_index(build, prepare_units(build), only=only)


def list_known_operators(release: Release, target: Target, *, progress: Progress) -> KnownOperators:
    """Returns every operator of `release` that can be built for `target`, with every feature.

    Those with kernels for quantised tensors only are among them.
    """
    # A runtime of no operator reaches kernels for dense tensors only; one for a quantised model
    # reaches both.
    both = (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)
    build = _everything(release, target, progress=progress, jobs=None, dispatch=both)
    with folder_lock(build.layout.root, on_wait=progress.note):
        graph = prepare_units(build)
        namespaces = read_namespaces(list_hand_written(graph))
        return read_build_catalogue(build, graph).list_known(namespaces)


def _everything(
    release: Release,
    target: Target,
    *,
    progress: Progress,
    jobs: int | None,
    dispatch: tuple[DispatchBackend, ...] = (DispatchBackend.CPU,),
) -> NativeBuild:
    """Returns a build of no operator, whose units are those of every feature."""
    toolchain = locate_toolchain(target, release=release, options=ToolchainOptions())
    backends = tuple(
        one
        for one in release.backends.values()
        if one.chosen is not Chosen.OPTION and one.runs_on(target.platform)
    )
    toolchain = with_shader_compiler(toolchain, backends, Runner.inherit_for_tools())
    features = [one.sources for one in backends if one.sources]
    plan = replace(
        plan_build((), target, release=release, toolchain=toolchain),
        static_dispatch=dispatch,
        toolchain=toolchain.fingerprint,
        backends=backends,
        features=tuple((name, release.lock.select(name).digest) for name in features),
    )
    return make_native_build(plan, toolchain, progress=progress, jobs=jobs)
