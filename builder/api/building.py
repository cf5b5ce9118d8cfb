"""Building, planning and sizing runtimes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult, Package, SizeReport
    from builder.core.manifest import Manifest
    from builder.core.model import OperatorList
    from builder.core.operators import Operator
    from builder.core.plan import BuildPlan
    from builder.core.sources import SourceTree
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain
    from builder.core.units import UnitGraph
    from builder.native.building import NativeBuild
    from builder.system.progress import Progress


_FLAG_VARIABLES = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ASMFLAGS", "CPATH", "LIBRARY_PATH")
"""Variables of the environment that would change the bytes behind the plan's back."""
_LICENCES = ("LICEN[CS]E*", "COPYING", "COPYING.MPL2", "NOTICE*")
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


def plan_build(paths: Iterable[Path], target: Target, *, toolchain: Toolchain) -> BuildPlan:
    """Returns what building a runtime for models and operator lists would do; writes nothing.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    from builder.api.models import list_operators
    from builder.api.sources import load_source_lock
    from builder.core.plan import BuildPlan
    from builder.native.configure import OPTIONS
    from builder.selection.dispatch import choose_static_dispatch

    wanted = list_operators(paths)
    lock = load_source_lock().select(frozenset())
    return BuildPlan(
        target=target,
        operator_list=wanted,
        static_dispatch=choose_static_dispatch(wanted),
        source_version=lock.version,
        source_digest=lock.digest,
        toolchain=toolchain.fingerprint,
        configuration=tuple(f"{name}={value}" for name, value in sorted(OPTIONS.items())),
        native_digest=_digest_native_files(),
    )


def build_runtime(
    paths: Sequence[Path],
    target: Target,
    output: Path,
    *,
    progress: Progress,
    jobs: int | None = None,
    lock_timeout: float = -1,
    skip_unknown: bool = False,
) -> BuildOutcome:
    """Builds the selective runtime for `paths` and lays it out in `output/<abi>`.

    Safe to kill at any point: the next call continues. Only one builder works on one
    configuration's objects at a time; others wait, for at most `lock_timeout` seconds.
    With `skip_unknown` the outcome names the operators that cannot be built; they are left out.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and not to be skipped.
        SourceError: the sources cannot be had.
        ToolchainError: a tool is missing.
        NativeBuildError: a step of the build failed, or another builder holds the lock.
    """
    from builder.api.sources import locate_sources
    from builder.api.toolchains import locate_toolchain
    from builder.system.locks import folder_lock

    toolchain = locate_toolchain(target)
    plan = plan_build(paths, target, toolchain=toolchain)
    _note_choices(plan, progress)
    tree = locate_sources(progress=progress)
    build = _native_build(plan, tree, toolchain, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, timeout=lock_timeout, on_wait=progress.note):
        linked, served, skipped = _build(build, skip_unknown=skip_unknown)
        outcome = _package(build, linked, served, output / target.abi)
        return replace(outcome, skipped=skipped)


def make_symbol_index(
    target: Target, *, progress: Progress, only: str = "", jobs: int | None = None
) -> str:
    """Returns the text of the symbol index, made anew for `target`.

    Args:
        target: whose units to compile.
        progress: is told of each unit.
        only: prefix of unit ids; all when empty.
        jobs: compilations at once.
    """
    from builder.api.sources import locate_sources
    from builder.api.toolchains import locate_toolchain
    from builder.native.building import prepare
    from builder.native.indexing import make_index
    from builder.system.locks import folder_lock

    toolchain = locate_toolchain(target)
    plan = plan_build((), target, toolchain=toolchain)
    tree = locate_sources(progress=progress)
    build = _native_build(plan, tree, toolchain, progress=progress, jobs=jobs)
    with folder_lock(build.layout.root, on_wait=progress.note):
        return make_index(build, prepare(build), only=only)


def _native_build(
    plan: BuildPlan,
    tree: SourceTree,
    toolchain: Toolchain,
    *,
    progress: Progress,
    jobs: int | None,
) -> NativeBuild:
    from builder.native.building import NativeBuild
    from builder.native.layout import Layout
    from builder.system.places import cache_folder, data_folder
    from builder.system.process import Runner

    return NativeBuild(
        plan=plan,
        tree=tree,
        toolchain=toolchain,
        layout=Layout.of(cache_folder(), plan),
        runtime=data_folder("cmake") / "runtime",
        index_file=data_folder("third_party") / f"symbols-{plan.source_version}.txt",
        runner=Runner.inherit().without(*_FLAG_VARIABLES),
        progress=progress,
        jobs=jobs,
    )


def measure_runtime(folder: Path) -> SizeReport:
    """Returns the size report that travels with a built runtime.

    Raises:
        ConfigurationError: `folder` holds no runtime, or more than one.
    """
    from builder.errors import ConfigurationError
    from builder.packaging.linux import SIZE_REPORT, parse_size_report

    candidates = (folder, *sorted(folder.glob("*"))) if folder.is_dir() else ()
    found = [path / SIZE_REPORT for path in candidates if (path / SIZE_REPORT).is_file()]
    if len(found) != 1:
        what = "no runtime" if not found else f"{len(found)} runtimes"
        raise ConfigurationError(
            f"{what} in {folder}", hint="builder build MODEL -o out; builder size out/<abi>"
        )
    try:
        return parse_size_report(found[0].read_text())
    except ValueError as error:
        raise ConfigurationError(f"{found[0]} is no size report: {error}") from error


def _build(
    build: NativeBuild, *, skip_unknown: bool
) -> tuple[LinkResult, OperatorList, tuple[str, ...]]:
    from builder.native.building import build_runtime, prepare
    from builder.selection.catalogue import read_catalogue
    from builder.selection.choosing import find_raising, find_refusals, select
    from builder.selection.rules import load_rules
    from builder.selection.upgraders import add_upgraders, read_upgraders
    from builder.system.machine import host_architecture

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
    linked = build_runtime(build, graph, select(served, catalogue, rules))
    if build.plan.target.architecture == host_architecture():
        missing = _find_unregistered(build, linked, served)
        if missing and not skip_unknown:
            _refuse_unregistered(missing, served)
        for operator in missing:
            build.progress.note(f"left out: {operator}, nothing registers it")
        served = served.without(missing)
        skipped |= dict.fromkeys(missing, "")
    return linked, served, tuple(sorted(map(str, skipped)))


def _find_unregistered(
    build: NativeBuild, linked: LinkResult, served: OperatorList
) -> list[Operator]:
    from builder.core.operators import Operator

    beside = build.runner.with_environment(LD_LIBRARY_PATH=str(linked.library.parent))
    said = beside.check((str(linked.runner), "--operators"), step="asking the runtime")
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
    build: NativeBuild, linked: LinkResult, served: OperatorList, root: Path
) -> BuildOutcome:
    from builder.oplists import render_op_list
    from builder.packaging.linux import write_package
    from builder.size.measuring import measure
    from builder.system.places import data_folder

    build.progress.step(f"packaging {root}")
    size = measure(linked.library, linked.map_file, build.layout.root / "objects")
    package = write_package(
        root,
        linked,
        manifest=_manifest(build.plan, served),
        size=size,
        operator_list=render_op_list(served),
        cmake=data_folder("cmake"),
        licences=_find_licences(build.tree),
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
        plan_key=plan.key,
        static_dispatch=tuple(map(str, plan.static_dispatch)),
        toolchain=plan.toolchain,
        files={},
    )


def _find_licences(tree: SourceTree) -> dict[str, Path]:
    from builder.api.sources import load_source_lock

    folders = {pin.name: pin.path for pin in load_source_lock().select(frozenset()).pins}
    folders |= {Path(path).name: path for path in _BUNDLED}
    return {
        f"{name}-{path.name.removesuffix('.txt')}": path
        for name, folder in folders.items()
        for pattern in _LICENCES
        for path in sorted((tree.root / folder).glob(pattern))
        if path.is_file()
    }


def _note_choices(plan: BuildPlan, progress: Progress) -> None:
    listed = plan.operator_list
    progress.note(
        f"{len(listed.operators)} root operators, {len(listed.custom_classes)} custom classes, "
        f"static dispatch to {' and '.join(plan.static_dispatch)}, for {plan.target}"
    )


def _digest_native_files() -> str:
    from builder.system.files import digest_files
    from builder.system.places import data_folder, package_folder

    return digest_files(
        *(data_folder("cmake"), data_folder("third_party")),
        *(package_folder("native"), package_folder("selection")),
        suffixes=(".cpp", ".h", ".cmake", ".py", ".toml", ".txt"),
    )
