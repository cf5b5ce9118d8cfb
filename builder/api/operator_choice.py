"""What a runtime serves: chosen before it is built, and asked of it afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.core_choice import refuse_other_facts
from builder.core.cores import Core, has_plain_kernels
from builder.core.operators import Operator
from builder.core.selection import ServedOperators
from builder.core.targets import Platform
from builder.errors import Hint, ModelError, Run, SourceError, Use
from builder.native.backend_units import find_root_units, find_units
from builder.selection.catalogue import read_catalogue
from builder.selection.choose import (
    find_raising,
    find_refusals,
    select,
    select_for_own_core,
)
from builder.selection.devices import Device, read_device, refuse_absent, warn_unused
from builder.selection.own_core import read_own_core
from builder.selection.release_rules import read_rules
from builder.selection.upgraders import add_upgraders, read_upgraders, read_versions
from builder.sources.schemas import load_schemas
from builder.system.emulators import find_emulator

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult
    from builder.core.backends import LocatedBackend
    from builder.core.model_facts import OperatorList
    from builder.core.plan import BuildPlan
    from builder.core.units import UnitGraph
    from builder.native.job import NativeBuild
    from builder.selection.catalogue import OperatorCatalogue


def choose_operators(
    build: NativeBuild, graph: UnitGraph, *, skip_unknown: bool
) -> ServedOperators:
    """Returns what a runtime for the plan's operators is to serve.

    Raises:
        ModelError: an operator is unknown or cannot be built, and is not to be skipped.
        SourceError: as `refuse_misread`.
    """
    catalogue, rules = read_build_catalogue(build, graph), read_rules(build.plan.release)
    wanted, upgraders = build.plan.operator_list, read_upgraders(build.tree.root)
    refuse_misread(build.plan, catalogue, upgraders)
    own = build.plan.core is Core.OWN
    # Before anything is refused: upgraders' operators have to exist as well. builder's own core has
    # no upgraders.
    served = (
        wanted if own else replace(wanted, operators=add_upgraders(wanted.operators, upgraders))
    )
    # Without this setting, `select` names all of them in one error.
    skipped = find_refusals(served, catalogue, rules) if skip_unknown else {}
    for operator, reason in skipped.items():
        build.progress.note(f"left out: {operator}, {reason}")
    served = served.without(skipped)
    chosen = build.plan.backends
    refuse_absent(served, chosen, rules)
    for warning in warn_unused(served, chosen):
        build.progress.note(warning)
    for operator, reason in find_raising(served, catalogue, rules).items():
        build.progress.note(f"raises when called: {operator}, {reason}")
    if own:
        since = read_versions(build.tree.root)
        refuse_other_facts(
            build.plan.release,
            {str(operator) for operator in catalogue.dispatcher},
            {str(operator): version for operator, version in since.items()},
        )
        selection = select_for_own_core(
            served,
            catalogue,
            rules,
            core=read_own_core(build.runtime),
            schemas=load_schemas(build.plan.release.version),
            since=since,
            plain=has_plain_kernels(build.plan.core, build.plan.dtypes),
        )
        return ServedOperators(operators=served, selection=selection, skipped=frozenset(skipped))
    # Backends that only add operators for the CPU have no roots and no device.
    devices = [_read_device(build, graph, one) for one in build.backends if one.backend.roots]
    return ServedOperators(
        operators=served,
        selection=select(served, catalogue, rules, devices),
        skipped=frozenset(skipped),
    )


def _read_device(build: NativeBuild, graph: UnitGraph, one: LocatedBackend) -> Device:
    backend, roots = one.backend, find_root_units(graph, one.backend)
    kernels = roots
    # Kernels that are called directly are roots no more than others, and their units are generated.
    if backend.dispatch and backend.dispatch.kernels:
        kernels = find_units(one, build.plan.static_dispatch, pytorch=build.tree.root)
    return read_device(roots, kernels, backend.dispatch)


def refuse_misread(
    plan: BuildPlan,
    catalogue: OperatorCatalogue,
    upgraders: Mapping[Operator, Collection[Operator]],
) -> None:
    """Raises SourceError where text was not read as the facts of the release say.

    A regular expression that does not fit the text finds too little, and nothing else would tell.
    """
    scanned, dispatch = plan.release.facts.scanned, ";".join(plan.static_dispatch)
    read = (
        ("operators that torchgen declares", len(catalogue.dispatcher), scanned.declared),
        ("operators with upgraders", len(upgraders), scanned.upgraded),
        (
            f"operators without a kernel for {dispatch}",
            len(catalogue.undispatched),
            scanned.without_kernel.get(dispatch),
        ),
    )
    wrong = [
        f"  {found} {what} instead of {wanted}" for what, found, wanted in read if found != wanted
    ]
    if wrong:
        raise SourceError(
            f"builder cannot read the sources of PyTorch {plan.release.version}; it found\n"
            + "\n".join(wrong),
            hint=f"these numbers are in {plan.release.folder / 'facts.toml'}; CONTRIBUTING.md says "
            "how a release is added",
        )


def confirm_operators(
    build: NativeBuild, linked: LinkResult, serving: ServedOperators, *, skip_unknown: bool
) -> ServedOperators:
    """Returns what `linked` says that it serves of `serving`, where something here can run it.

    Raises:
        ModelError: nothing registers an operator, and it is not to be skipped.
    """
    # Without a runner there is no program that could be asked.
    if linked.runner is None and not build.plan.target.is_apple:
        build.progress.note(
            f"{linked.library.name} was not asked for its operators: it has no C API"
        )
        return serving
    target = build.plan.target
    linux = target.platform is Platform.LINUX
    emulator = find_emulator(target.architecture, build.runner) if linux else None
    if emulator is None:
        build.progress.note(
            f"the runtime was not asked for its operators: this machine cannot run programs for "
            f"{target}" + (" (apt install qemu-user)" if linux else "")
        )
        return serving
    missing = _find_unregistered(build, linked, serving.operators, emulator)
    if missing and not skip_unknown:
        _refuse_unregistered(missing, serving.operators)
    for operator in missing:
        build.progress.note(f"left out: {operator}, nothing registers it")
    return serving.without(missing)


def read_build_catalogue(build: NativeBuild, graph: UnitGraph) -> OperatorCatalogue:
    """Returns every operator that the units of `build` can register."""
    return read_catalogue(list_hand_written(graph), build.layout.configured / "aten/src/ATen/ops")


def list_hand_written(graph: UnitGraph) -> list[tuple[str, Path]]:
    """Returns id and file of the C++ units that torchgen did not write."""
    return [
        (unit.id, Path(unit.source))
        for unit in graph.units.values()
        # Generated code registers by torchgen's tables, which the catalogue reads from the headers.
        if unit.language in {"CXX", "OBJCXX"} and not unit.generated
    ]


def _find_unregistered(
    build: NativeBuild, linked: LinkResult, served: OperatorList, emulator: tuple[str, ...]
) -> list[Operator]:
    # The runner looks for the library in a package, which is not written yet.
    beside = build.runner.with_environment(LD_LIBRARY_PATH=str(linked.library.parent))
    said = beside.check((*emulator, str(linked.runner), "--operators"), step="asking the runtime")
    there = set(map(Operator.parse, said.split()))
    return [operator for operator in served.operators if operator not in there]


def _refuse_unregistered(missing: list[Operator], served: OperatorList) -> None:
    lines = (f"  {o} (wanted by {', '.join(served.operators.sources(o))})" for o in missing)
    raise ModelError(
        "operators that nothing registers in this PyTorch:\n" + "\n".join(lines),
        hint=Hint(
            *("check the overload names: ", Run("ops", ("MODEL",)), "; "),
            *(Use("skip_unknown"), " builds without them"),
        ),
    )
