"""Building and planning runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult, Package, SizeReport
    from builder.core.dtypes import DtypeSet
    from builder.core.features import LocatedFeature
    from builder.core.manifest import Manifest
    from builder.core.model import OperatorList
    from builder.core.operators import Operator
    from builder.core.plan import BuildPlan, Interface
    from builder.core.profile import Flavour
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain
    from builder.core.units import UnitGraph
    from builder.native.building import NativeBuild
    from builder.size.graph import Registry
    from builder.system.progress import Progress


_FLAG_VARIABLES = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ASMFLAGS", "CPATH", "LIBRARY_PATH")
"""Variables of the environment that would change the bytes behind the plan's back."""
_LICENCES = ("LICEN[CS]E*", "COPYING", "COPYING.MPL2", "NOTICE*", "*_hdronly.h")
_BUNDLED = ("third_party/miniz-3.0.2", "aten/src/ATen/native/quantized/cpu/qnnpack")
"""Folders of PyTorch's own tree with code and a licence of somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutcome:
    """What `build_runtime` made."""

    plan: BuildPlan
    package: Package
    linked: LinkResult
    size: SizeReport
    logs: Path
    skipped: tuple[str, ...] = ()
    """Operators that were asked for and left out, as the caller allowed."""


def plan_build(
    paths: Sequence[Path],
    target: Target,
    *,
    toolchain: Toolchain,
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    interface: Interface | None = None,
) -> BuildPlan:
    """Returns what building a runtime for models and operator lists would do; writes nothing.

    Without `dtypes`, kernels are for those that can occur in the models; without `interface`, the
    runtime has the C API.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    from builder.api.models import read_wanted
    from builder.api.sources import load_source_lock
    from builder.core.dtypes import DtypeChoice
    from builder.core.features import choose_features
    from builder.core.plan import BuildPlan, Interface
    from builder.core.profile import Flavour
    from builder.native.configure import OPTIONS
    from builder.selection.dispatch import choose_static_dispatch
    from builder.selection.rules import load_rules

    wanted, inferred = read_wanted(paths)
    choice = DtypeChoice(dtypes=dtypes, reason="as asked") if dtypes else inferred
    sources = load_source_lock()
    lock = sources.select()
    chosen = choose_features(wanted.operators, load_rules().features)
    return BuildPlan(
        target=target,
        operator_list=wanted,
        static_dispatch=choose_static_dispatch(wanted),
        flavour=flavour or Flavour(),
        source_version=lock.version,
        source_digest=lock.digest,
        features=tuple((one.name, sources.select(one.name).digest) for one in chosen),
        toolchain=toolchain.fingerprint,
        configuration=tuple(f"{name}={value}" for name, value in sorted(OPTIONS.items())),
        native_digest=_digest_native_files(),
        dtypes=choice.dtypes,
        dtypes_reason=choice.reason,
        interface=interface or Interface.C,
    )


def build_runtime(
    paths: Sequence[Path],
    target: Target,
    output: Path,
    *,
    progress: Progress,
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    jobs: int | None = None,
    launcher: str = "auto",
    lock_timeout: float = -1,
    skip_unknown: bool = False,
) -> BuildOutcome:
    """Builds the selective runtime for `paths` and lays it out in `output/<abi>`.

    Safe to kill at any point: the next call continues. Only one builder works on one
    configuration's objects at a time; others wait, for at most `lock_timeout` seconds.
    `jobs` compilations run at once; without it as many as the launcher or ninja deems right.
    With `skip_unknown` the outcome names the operators that cannot be built; they are left out.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and not to be skipped.
        SourceError: the sources cannot be had.
        ToolchainError: a tool is missing.
        NativeBuildError: a step of the build failed, or another builder holds the lock.
    """
    from builder.api.toolchains import locate_toolchain
    from builder.system.locks import folder_lock

    toolchain = locate_toolchain(target, launcher=launcher)
    plan = plan_build(paths, target, toolchain=toolchain, flavour=flavour, dtypes=dtypes)
    _note_choices(plan, progress)
    build = _native_build(plan, toolchain, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, timeout=lock_timeout, on_wait=progress.note):
        linked, served, registry, skipped = _build(build, skip_unknown=skip_unknown)
        outcome = _package(build, linked, served, registry, output / target.abi)
        return replace(outcome, skipped=skipped)


def link_library(
    paths: Sequence[Path],
    target: Target,
    *,
    interface: Interface,
    progress: Progress,
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    jobs: int | None = None,
    launcher: str = "auto",
) -> LinkResult:
    """Links the library of one interface for `paths`; it stays in the cache, nothing is packaged.

    Objects are shared with `build_runtime`. Which operators the library serves is asked only where
    the interface has a runner.

    Raises:
        BuilderError: as `build_runtime`; ToolchainError also without a JDK where one is needed.
    """
    from builder.api.toolchains import locate_toolchain
    from builder.system.locks import folder_lock

    toolchain = locate_toolchain(target, launcher=launcher)
    plan = plan_build(
        paths, target, toolchain=toolchain, flavour=flavour, dtypes=dtypes, interface=interface
    )
    _note_choices(plan, progress)
    build = _native_build(plan, toolchain, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, on_wait=progress.note):
        linked, _, _, _ = _build(build, skip_unknown=False)
    return linked


def make_symbol_index(
    target: Target, *, progress: Progress, only: str = "", jobs: int | None = None
) -> str:
    """Returns the text of the symbol index, made anew for `target` with every feature.

    Args:
        target: whose units to compile.
        progress: is told of each unit.
        only: prefix of unit ids; all when empty.
        jobs: compilations at once.
    """
    from builder.api.sources import load_source_lock
    from builder.api.toolchains import locate_toolchain
    from builder.native.building import prepare
    from builder.native.indexing import make_index
    from builder.selection.rules import load_rules
    from builder.system.locks import folder_lock

    toolchain = locate_toolchain(target, launcher="auto")
    lock = load_source_lock()
    plan = replace(
        plan_build((), target, toolchain=toolchain),
        features=tuple((one.name, lock.select(one.name).digest) for one in load_rules().features),
    )
    build = _native_build(plan, toolchain, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, on_wait=progress.note):
        return make_index(build, prepare(build), only=only)


def _native_build(
    plan: BuildPlan,
    toolchain: Toolchain,
    *,
    progress: Progress,
    jobs: int | None,
) -> NativeBuild:
    from builder.api.sources import locate_sources
    from builder.native.building import NativeBuild
    from builder.native.layout import Layout
    from builder.system.places import cache_folder, data_folder
    from builder.system.process import Runner

    launcher = toolchain.launcher
    if launcher:
        room = f", {launcher.jobs} at once" if launcher.jobs and not jobs else ""
        progress.note(f"compiling through {launcher.name}{room}")
        jobs = jobs or launcher.jobs
    return NativeBuild(
        plan=plan,
        tree=locate_sources(progress=progress),
        features=_locate_features(plan, progress),
        headers=_locate_headers(plan),
        toolchain=toolchain,
        layout=Layout.of(cache_folder(), plan),
        runtime=data_folder("cmake") / "runtime",
        index_file=data_folder("third_party") / f"symbols-{plan.source_version}.txt",
        runner=Runner.inherit().without(*_FLAG_VARIABLES),
        progress=progress,
        jobs=jobs,
    )


def _locate_headers(plan: BuildPlan) -> tuple[Path, ...]:
    """Returns where `jni.h` is, which toolchains for Linux do not bring."""
    from builder.core.plan import Interface
    from builder.core.targets import Platform
    from builder.system.process import Runner
    from builder.toolchains.jdk import locate_jdk

    if plan.interface is not Interface.JNI or plan.target.platform is not Platform.LINUX:
        return ()
    return locate_jdk(Runner.inherit()).headers


def _locate_features(plan: BuildPlan, progress: Progress) -> tuple[LocatedFeature, ...]:
    from builder.api.sources import locate_sources
    from builder.core.features import LocatedFeature
    from builder.selection.rules import load_rules

    known = {feature.name: feature for feature in load_rules().features}
    return tuple(
        LocatedFeature(feature=known[name], tree=locate_sources(progress=progress, feature=name))
        for name, _ in plan.features
    )


def _build(
    build: NativeBuild, *, skip_unknown: bool
) -> tuple[LinkResult, OperatorList, Registry, tuple[str, ...]]:
    from builder.native.building import build_runtime, prepare
    from builder.selection.catalogue import is_limited, read_catalogue
    from builder.selection.choosing import find_raising, find_refusals, select
    from builder.selection.rules import load_rules
    from builder.selection.upgraders import add_upgraders, read_upgraders
    from builder.size.graph import Registry
    from builder.system.emulators import find_emulator

    graph = prepare(build)
    catalogue = read_catalogue(_hand_written(graph), build.layout.configured / "aten/src/ATen/ops")
    wanted, rules = build.plan.operator_list, load_rules()
    served = replace(
        wanted, operators=add_upgraders(wanted.operators, read_upgraders(build.tree.root))
    )
    skipped = find_refusals(served, catalogue, rules) if skip_unknown else {}
    for operator, reason in skipped.items():
        build.progress.note(f"left out: {operator}, {reason}")
    served = served.without(skipped)
    for operator, reason in find_raising(served, catalogue, rules).items():
        build.progress.note(f"raises when called: {operator}, {reason}")
    selection = select(served, catalogue, rules)
    linked = build_runtime(build, graph, selection)
    emulator = find_emulator(build.plan.target.architecture, build.runner)
    if linked.runner is None:
        build.progress.note(
            f"not asked which operators it serves: {linked.library.name} has no C API"
        )
    elif emulator is None:
        build.progress.note(
            f"not asked which operators it serves: nothing here runs {build.plan.target} programs "
            "(apt install qemu-user)"
        )
    else:
        missing = _find_unregistered(build, linked, served, emulator)
        if missing and not skip_unknown:
            _refuse_unregistered(missing, served)
        for operator in missing:
            build.progress.note(f"left out: {operator}, nothing registers it")
        served = served.without(missing)
        skipped |= dict.fromkeys(missing, "")
    registering = frozenset[str]().union(*selection.by_hand.values())
    registry = Registry(
        operators=tuple(served.operators),
        by_hand=selection.by_hand,
        always=selection.always,
        limited=frozenset(u for u in registering if is_limited(Path(graph.units[u].source))),
    )
    return linked, served, registry, tuple(sorted(map(str, skipped)))


def _find_unregistered(
    build: NativeBuild, linked: LinkResult, served: OperatorList, emulator: tuple[str, ...]
) -> list[Operator]:
    from builder.core.operators import Operator

    beside = build.runner.with_environment(LD_LIBRARY_PATH=str(linked.library.parent))
    said = beside.check((*emulator, str(linked.runner), "--operators"), step="asking the runtime")
    there = set(map(Operator.parse, said.split()))
    return [operator for operator in served.operators if operator not in there]


def _refuse_unregistered(missing: list[Operator], served: OperatorList) -> None:
    from builder.errors import ModelError

    lines = (f"  {o} (wanted by {', '.join(served.operators.sources(o))})" for o in missing)
    raise ModelError(
        "operators that nothing registers in this PyTorch:\n" + "\n".join(lines),
        hint="check the overload names: builder ops MODEL; --skip-unknown builds without them",
    )


def _hand_written(graph: UnitGraph) -> list[tuple[str, Path]]:
    return [
        (unit.id, Path(unit.source))
        for unit in graph.units.values()
        if unit.language == "CXX" and not unit.generated
    ]


def _package(
    build: NativeBuild, linked: LinkResult, served: OperatorList, registry: Registry, root: Path
) -> BuildOutcome:
    from builder.oplists import render_op_list
    from builder.packaging.linux import write_package
    from builder.size.graph import read_graph
    from builder.size.measuring import measure
    from builder.size.pricing import price_operators
    from builder.size.references import render_references
    from builder.system.places import data_folder

    build.progress.step(f"packaging {root}")
    objects = build.layout.objects
    size = measure(linked.library, linked.map_file, objects)
    references = read_graph(linked.unstripped, linked.map_file, objects, registry)
    if references is not None:
        wanted_by = {str(o): served.operators.sources(o) for o in served.operators}
        size = replace(size, operators=price_operators(references, wanted_by))
    package = write_package(
        root,
        linked,
        manifest=_manifest(build.plan, served),
        size=size,
        references=None if references is None else render_references(references),
        operator_list=render_op_list(served),
        cmake=data_folder("cmake"),
        licences=_find_licences(build),
    )
    return BuildOutcome(
        plan=build.plan, package=package, linked=linked, size=size, logs=build.layout.logs
    )


def _manifest(plan: BuildPlan, served: OperatorList) -> Manifest:
    from builder.core.manifest import Manifest
    from builder.models.versions import NEWEST_BYTECODE, OLDEST_BYTECODE

    return Manifest(
        abi=plan.target.abi,
        operators=tuple(served.operators),
        custom_classes=plan.operator_list.custom_classes,
        bytecode_min=OLDEST_BYTECODE,
        bytecode_max=NEWEST_BYTECODE,
        models=plan.operator_list.models,
        source_version=plan.source_version,
        source_digest=plan.source_digest,
        features=tuple(name for name, _ in plan.features),
        plan_key=plan.key,
        static_dispatch=tuple(map(str, plan.static_dispatch)),
        toolchain=plan.toolchain,
        dtypes=plan.dtypes,
        files={},
    )


def _find_licences(build: NativeBuild) -> dict[str, Path]:
    from builder.api.sources import load_source_lock

    lock, tree = load_source_lock(), build.tree
    folders = {pin.name: tree.root / pin.path for pin in lock.select().pins}
    folders |= {Path(path).name: tree.root / path for path in _BUNDLED}
    for one in build.features:
        pins = lock.select(one.feature.name).pins
        folders |= {pin.name: one.tree.root / pin.path for pin in pins}
    return {
        f"{name}-{path.name.removesuffix('.txt')}": path
        for name, folder in folders.items()
        for pattern in _LICENCES
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def _note_choices(plan: BuildPlan, progress: Progress) -> None:
    listed = plan.operator_list
    progress.note(
        f"{len(listed.operators)} root operators, {len(listed.custom_classes)} custom classes, "
        f"static dispatch to {' and '.join(plan.static_dispatch)}, for {plan.target}"
        + "".join(f", with {name}'s sources" for name, _ in plan.features)
    )
    progress.note(f"kernels for {plan.dtypes}: {plan.dtypes_reason}")


def _digest_native_files() -> str:
    from builder.system.files import digest_files
    from builder.system.places import data_folder, package_folder

    return digest_files(
        *(data_folder("cmake"), data_folder("third_party")),
        *(package_folder("native"), package_folder("selection")),
        suffixes=(".cpp", ".h", ".cmake", ".py", ".toml", ".txt"),
    )
