"""Linking a library: from the plan to what the packages are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from builder.api.first_build import describe_first_build
from builder.api.operator_choice import choose_operators, confirm_operators
from builder.api.plans import list_inputs, plan_with_versions
from builder.api.toolchains import locate_toolchain
from builder.core.backends import LocatedBackend
from builder.core.counts import number_of
from builder.core.plan import Interface
from builder.core.targets import Platform
from builder.errors import NativeBuildError, SourceError, naming
from builder.native.build import link_runtime
from builder.native.build_folders import Layout
from builder.native.job import LinkedRuntime, NativeBuild
from builder.native.prepare_sources import prepare_units
from builder.native.together import Steps, run_together
from builder.platforms.apple.facts import OPEN_FEATURE
from builder.platforms.apple.frameworks import with_frameworks
from builder.platforms.registry import platform_of
from builder.selection.gains import find_gains
from builder.sources.releases import load_release
from builder.sources.trees import find_sources, locate_sources, refuse_changed_sources
from builder.system.folders import cache_folder, data_folder
from builder.system.locks import folder_lock
from builder.system.outputs import writing_into
from builder.system.own_cache import claim_cache
from builder.system.process import Runner
from builder.system.progress import Titled
from builder.toolchains.clang import locate_archive_tools
from builder.toolchains.jdk import locate_jdk
from builder.toolchains.launchers import NONE, locate_launcher, refuse_missing
from builder.toolchains.shader_compiler import with_shader_compiler

if TYPE_CHECKING:
    from builder.core.backends import Backend
    from builder.core.plan import BuildPlan, BuildRequest
    from builder.core.selection import ServedOperators
    from builder.core.sources import SourceTree
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain, ToolVersions
    from builder.core.units import UnitGraph
    from builder.platforms.package_options import PackageOptions
    from builder.system.progress import Progress


_T = TypeVar("_T")
_SERVED = "sccache"
"""Its server outlives builds, and would keep using the folder for temporary files of one."""
_OTHER_CACHE = "choose another cache with BUILDER_CACHE=<folder>; the next run continues"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTarget:
    """What is known of a target before anything is built for it."""

    plan: BuildPlan
    """The plan of its first interface."""
    toolchain: Toolchain
    """The tools, without a launcher."""


def plan_target(
    request: BuildRequest, target: Target, interface: Interface, *, progress: Progress
) -> PlannedTarget:
    """Reads the models and finds the toolchain for `target`; compiles nothing.

    What cannot be built is refused before anything is fetched.

    Raises:
        ModelError: a file cannot be read, the target cannot run a model, or the release does not
            have an operator and `skip_unknown` is not set.
        ToolchainError: a tool is missing.
        SourceError: headers that the toolchain needs cannot be fetched.
    """
    release, runner = request.pytorch or load_release(), Runner.inherit_for_tools()
    located: list[Toolchain] = []

    def find_versions(backends: Sequence[Backend]) -> ToolVersions:
        # Headers have to be fetched before a toolchain can be found with them.
        module, tools = platform_of(target), request.tools
        module.fetch_toolchain_sources(release, target, tools, progress=progress)
        # A launcher changes no bytes, and asking it may start its server or wait for helpers.
        alone = replace(tools, launcher=NONE)
        toolchain = locate_toolchain(target, release=release, options=alone)
        # Only now is it known which backends the models need.
        located.append(with_shader_compiler(toolchain, backends, runner))
        return located[-1].versions

    plan = plan_with_versions(
        list_inputs(request),
        target,
        release=release,
        find_versions=find_versions,
        flavour=request.flavour,
        dtypes=request.dtypes,
        interface=interface,
        accelerators=request.accelerators,
        core=request.core,
        skip_unknown=request.skip_unknown,
    )
    toolchain = with_frameworks(located[-1], plan.backends)
    return PlannedTarget(plan=plan, toolchain=toolchain)


def refuse_missing_tools(
    planned: PlannedTarget, request: BuildRequest, options: PackageOptions
) -> None:
    """Raises ToolchainError where a tool that the plan does not have is not on this machine.

    A launcher is only looked for: asking it may start its server or wait for helpers.
    """
    runner = Runner.inherit_for_tools()
    refuse_missing(runner, request.tools.launcher)
    if options.linux.static and planned.plan.target.platform is Platform.LINUX:
        locate_archive_tools(runner, planned.toolchain.compiler_major)


def list_interfaces(target: Target, options: PackageOptions) -> tuple[Interface, ...]:
    """Returns the interfaces of the libraries that a build makes for a target, the C API first."""
    # The C API comes first: every target has a folder with it.
    return (Interface.C, *platform_of(target).list_interfaces(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLibraries:
    """The libraries to link for one target."""

    planned: PlannedTarget
    """What `plan_target` returned for `request` and the first of `interfaces`."""
    request: BuildRequest
    """What to build."""
    interfaces: Sequence[Interface]
    """Without repetition; the first has a runner where one can be linked."""
    static: bool = False
    """Whether to make a static library of the first too, for Linux."""
    title: str = ""
    """What progress is told that it is for; empty where that is clear."""
    product: str = ""
    """What errors begin with; empty where that is clear."""

    @property
    def root(self) -> Path:
        """The folder of its configuration in the cache."""
        return Layout.of(cache_folder(), self.planned.plan).root


@contextmanager
def link_libraries(
    wanted: Sequence[WantedLibraries], *, progress: Progress
) -> Iterator[tuple[dict[Interface, LinkedRuntime], ...]]:
    """Links a library for each interface of each of `wanted`; inside, no other build changes them.

    Upstream's build is configured once for each configuration, and libraries of one configuration
    share their objects. All share the jobs of the first. The first library of each is the one
    that can say which operators it serves; the others serve the same.

    Args:
        wanted: no two have the same plan.
        progress: is told what is done.

    Raises:
        BuilderError: as `builder.api.build`; ToolchainError also without a JDK where a library for
            Java is linked on Linux.
    """
    firsts = []
    for one in wanted:
        with naming(one.product):
            firsts.append(_begin(one, progress))
    timeout = wanted[0].request.lock_timeout
    if unmarked := claim_cache(cache_folder()):
        progress.note(unmarked)
    with writing_into(cache_folder(), NativeBuildError, hint=_OTHER_CACHE), ExitStack() as locks:
        # In one order, so that no two builders wait for each other. The locks are held until
        # packages have read their files of the cache.
        for root in sorted({one.layout.root for one in firsts}):
            locks.enter_context(
                folder_lock(root, timeout=-1 if timeout is None else timeout, on_wait=progress.note)
            )
        yield _link_all(wanted, firsts)


def _begin(wanted: WantedLibraries, progress: Progress) -> NativeBuild:
    """Returns what the first library is made with; what is noticed early is refused."""
    progress = Titled(progress, wanted.title) if wanted.title else progress
    request, plan, toolchain = wanted.request, wanted.planned.plan, wanted.planned.toolchain
    launcher = locate_launcher(Runner.inherit_for_tools(), request.tools.launcher, toolchain.cc)
    _note_choices(plan, progress)
    _note_gains(plan, request.inputs, progress)
    if said := describe_first_build(plan, cache_folder()):
        progress.note(said)
    # These tools are looked for before the sources are fetched.
    major = toolchain.compiler_major
    archiving = locate_archive_tools(Runner.inherit_for_tools(), major) if wanted.static else None
    first = make_native_build(
        plan, replace(toolchain, launcher=launcher), progress=progress, jobs=request.jobs
    )
    return replace(first, archive_tools=archiving)


def refuse_edited_trees(planned: PlannedTarget) -> None:
    """Raises SourceError when a source that a plan is for was edited by hand.

    Trees that are not there are not asked for.
    """
    plan, sdk = planned.plan, planned.toolchain.sdk
    features = ["", *(name for name, _ in plan.features)]
    if sdk and sdk.is_open:
        features.append(OPEN_FEATURE)
    for feature in features:
        tree = find_sources(plan.release, feature)
        if tree is not None:
            refuse_changed_sources(plan.release, tree, feature=feature)


def _link_all(
    wanted: Sequence[WantedLibraries], firsts: Sequence[NativeBuild]
) -> tuple[dict[Interface, LinkedRuntime], ...]:
    # What cannot be built of any of them is refused before anything is compiled.
    every = []
    for one, first in zip(wanted, firsts, strict=True):
        skip = one.request.skip_unknown
        with naming(one.product):
            graph = prepare_units(first)
            serving = choose_operators(first, graph, skip_unknown=skip)
        steps = _link_one(first, one.interfaces, graph, serving, skip_unknown=skip)
        every.append(_name_errors(one.product, steps))
    # A launcher says how many compilers it can feed.
    return run_together(every, jobs=firsts[0].jobs)


def _name_errors(product: str, steps: Steps[_T]) -> Steps[_T]:
    """Does what `steps` does; its errors begin with the name of the product."""
    with naming(product):
        return (yield from steps)


def _link_one(
    first: NativeBuild,
    interfaces: Sequence[Interface],
    graph: UnitGraph,
    serving: ServedOperators,
    *,
    skip_unknown: bool,
) -> Steps[dict[Interface, LinkedRuntime]]:
    done: dict[Interface, LinkedRuntime] = {}
    for interface in interfaces:
        build = first if interface is first.plan.interface else _with_interface(first, interface)
        linked = yield from link_runtime(build, graph, serving.selection)
        # The first library has the C API, which the others need not have.
        if not done:
            serving = confirm_operators(build, linked, serving, skip_unknown=skip_unknown)
        done[interface] = LinkedRuntime(build=build, graph=graph, linked=linked, serving=serving)
    # At the end: a source may change while it is compiled.
    _refuse_changed_sources(first)
    return done


def _with_interface(build: NativeBuild, interface: Interface) -> NativeBuild:
    """Returns the same build with another interface, which has a plan folder of its own."""
    plan = replace(build.plan, interface=interface)
    layout = Layout.of(cache_folder(), plan)
    headers = _locate_headers(plan)
    return replace(build, plan=plan, layout=layout, headers=headers, archive_tools=None)


def make_native_build(
    plan: BuildPlan,
    toolchain: Toolchain,
    *,
    progress: Progress,
    jobs: int | None,
) -> NativeBuild:
    """Returns what the native stage works with for a plan; the sources are fetched if needed."""
    launcher = toolchain.launcher
    if launcher:
        room = f", {launcher.jobs} at once" if launcher.jobs and not jobs else ""
        progress.note(f"compiling through {launcher.name}{room}")
        jobs = jobs or launcher.jobs
    layout = Layout.of(cache_folder(), plan)
    runner, headers = Runner.inherit_for_tools(), _locate_headers(plan)
    # Temporary files of killed compilers are then removed by the next run.
    if launcher is None or launcher.name != _SERVED:
        runner = runner.with_environment(TMPDIR=str(layout.scratch))
    tree = locate_sources(plan.release, progress=progress)
    return NativeBuild(
        plan=plan,
        tree=tree,
        backends=_locate_backends(plan, tree, progress),
        headers=headers,
        toolchain=toolchain,
        layout=layout,
        runtime=data_folder("cmake") / "runtime",
        runner=runner,
        progress=progress,
        jobs=jobs,
    )


def _locate_headers(plan: BuildPlan) -> tuple[Path, ...]:
    """Returns where `jni.h` is, which toolchains for Linux do not bring."""
    if not plan.interface.has_jni or plan.target.platform is not Platform.LINUX:
        return ()
    return locate_jdk(Runner.inherit_for_tools()).headers


def _locate_backends(
    plan: BuildPlan, pytorch: SourceTree, progress: Progress
) -> tuple[LocatedBackend, ...]:
    def locate(feature: str) -> SourceTree:
        return locate_sources(plan.release, progress=progress, feature=feature)

    return tuple(
        LocatedBackend(backend=one, tree=locate(one.sources) if one.sources else pytorch)
        for one in plan.backends
    )


def _note_choices(plan: BuildPlan, progress: Progress) -> None:
    listed = plan.operator_list
    progress.note(
        f"{number_of(len(listed.operators), 'root operator')}, "
        f"{number_of(len(listed.custom_classes), 'custom class', 'custom classes')}, "
        f"static dispatch to {' and '.join(plan.static_dispatch)}, for {plan.target}"
        + "".join(f", with {name}'s sources" for name, _ in plan.features)
        + "".join(f", with {one.label}" for one in plan.accelerators)
    )
    progress.note(f"kernels for {plan.dtypes}: {plan.dtypes_reason}")
    progress.note(f"core: {plan.core}, {plan.core_reason}")


def _note_gains(plan: BuildPlan, paths: Sequence[Path], progress: Progress) -> None:
    # Lists name models too, but have no file to export.
    given = {path.name: path for path in paths}
    for model, reason in find_gains(plan.operator_list):
        if path := given.get(model):
            progress.note(f"{path} may run faster once builder export rewrites it: {reason}")


def _refuse_changed_sources(build: NativeBuild) -> None:
    """Raises SourceError when a source was edited since the build began, for it has another key.

    What was compiled meanwhile is not used again, even if the source gets its old text and time.
    """
    trees = {"": build.tree, **{one.backend.sources: one.tree for one in build.features}}
    release, sdk = build.plan.release, build.toolchain.sdk
    open_headers = find_sources(release, OPEN_FEATURE) if sdk and sdk.is_open else None
    if open_headers:
        trees[OPEN_FEATURE] = open_headers
    try:
        for feature, tree in trees.items():
            refuse_changed_sources(release, tree, feature=feature)
    except SourceError:
        # Nothing tells which objects were made of the edited source, so all are compiled again.
        build.layout.ledger.unlink(missing_ok=True)
        raise
