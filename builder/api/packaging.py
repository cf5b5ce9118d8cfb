"""Packaging a linked runtime: measured, priced, and laid out with what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.components import find_carried
from builder.api.sources import find_sources, load_source_lock
from builder.core.manifest import Manifest
from builder.core.model import NEWEST_BYTECODE, OLDEST_BYTECODE
from builder.errors import ConfigurationError
from builder.oplists import render_op_list
from builder.packaging.folder import write_package
from builder.selection.catalogue import is_limited
from builder.size.elf.linked import read_elf
from builder.size.graph import Registry, build_graph
from builder.size.macho.linked import read_image
from builder.size.macho.measure import measure_image
from builder.size.measuring import measure
from builder.size.pricing import price_operators
from builder.size.references import render_references
from builder.system.places import data_folder, locate_licence
from builder.toolchains.apple_facts import OPEN_FEATURE

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult, Package, SizeReport
    from builder.core.components import Component
    from builder.core.model import OperatorList
    from builder.core.plan import BuildPlan
    from builder.core.selection import ServedOperators
    from builder.core.units import UnitGraph
    from builder.native.job import LinkedRuntime, NativeBuild
    from builder.size.linked import Linked
    from builder.size.references import ReferenceGraph

_LICENCES = (
    *("LICEN[CS]E*", "COPYING", "COPYING.MPL2", "COPYING.APACHE", "COPYING.BSD"),
    *("NOTICE*", "*_hdronly.h"),
)


def list_pins() -> dict[str, str]:
    """Returns source -> SHA-256, of all that packages are built from."""
    return {pin.name: pin.sha256 for pin in load_source_lock().pins}


def refuse_same_names(files: Iterable[Path], *, called: str) -> None:
    """Raises ConfigurationError where two of the files of --asset, `called` so, have one name."""
    names = [path.name for path in files]
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"two files of --asset have one name: {', '.join(sorted(names))}",
            hint=f"rename one; {called} are named by their file's own name",
        )


def package_runtime(
    one: LinkedRuntime, components: tuple[Component, ...], root: Path
) -> tuple[Package, SizeReport]:
    """Lays out a library with `components` in the folder `root`.

    Returns that, and where the library's bytes go.
    """
    one.build.progress.step(f"packaging {root}")
    build, linked, served = one.build, one.linked, one.serving.operators
    size, references = _measure(build, linked, served, make_registry(one.serving, one.graph))
    package = write_package(
        root,
        linked,
        manifest=make_manifest(build.plan, served),
        size=size,
        references=None if references is None else render_references(references),
        operator_list=render_op_list(served),
        cmake=data_folder("cmake"),
        licences=find_licences(build),
        components=components,
        carried_components=find_carried(one),
    )
    return package, size


def _measure(
    build: NativeBuild, linked: LinkResult, served: OperatorList, registry: Registry
) -> tuple[SizeReport, ReferenceGraph | None]:
    objects, before = build.layout.objects, linked.units_map
    if linked.image is None:
        size = measure(linked.library, linked.map_file, objects, units_map=before)
    else:
        size = measure_image(linked.image, linked.map_file, objects, units_map=before)
    try:
        read = _read_linked(linked, objects)
    except ValueError as error:
        build.progress.note(f"operators have no prices: {error}")
        read = None
    if read is None:
        return size, None
    references = build_graph(read, registry)
    wanted_by = {str(o): served.operators.sources(o) for o in served.operators}
    return replace(size, operators=price_operators(references, wanted_by)), references


def _read_linked(linked: LinkResult, objects: Path) -> Linked | None:
    """Returns what refers to what; None where the linker tells too little."""
    before = linked.units_map
    if linked.image is None or linked.merged is None:
        return read_elf(linked.unstripped, linked.map_file, objects, units_map=before)
    return read_image(linked.image, linked.map_file, linked.merged, objects, units_map=before)


def make_registry(serving: ServedOperators, graph: UnitGraph) -> Registry:
    """Returns which operators the runtime has, and in which units of `graph`."""
    served, selection = serving.operators.operators, serving.selection
    registering = frozenset[str]().union(*selection.by_hand.values())
    return Registry(
        operators=tuple(served),
        by_hand={o: units for o, units in selection.by_hand.items() if o in served},
        always=selection.always,
        limited=frozenset(u for u in registering if is_limited(Path(graph.units[u].source))),
    )


def make_manifest(plan: BuildPlan, served: OperatorList) -> Manifest:
    """Returns what a runtime of `plan` that serves `served` says of itself; it lists no files."""
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
        accelerators=tuple(map(str, plan.accelerators)),
        plan_key=plan.key,
        static_dispatch=tuple(map(str, plan.static_dispatch)),
        toolchain=plan.toolchain,
        dtypes=plan.dtypes,
        files={},
    )


def find_licences(build: NativeBuild) -> dict[str, Path]:
    """Returns name -> file of the licences of everything that may be in a runtime of `build`.

    builder's own licence is among them.
    """
    lock, tree = load_source_lock(), build.tree
    folders = {pin.name: tree.root / pin.path for pin in lock.select().pins}
    for pin in lock.pins:
        for bundled in pin.bundled:
            folders[Path(bundled.path).name] = tree.root / pin.path / bundled.path
    for one in build.features:
        pins = lock.select(one.feature.name).pins
        folders |= {pin.name: one.tree.root / pin.path for pin in pins}
    if build.toolchain.sdk and build.toolchain.sdk.is_open:
        folders |= _find_open_headers()
    own = {"builder-LICENSE": locate_licence()}
    return own | {
        f"{name}-{path.name.removesuffix('.txt')}": path
        for name, folder in folders.items()
        for pattern in _LICENCES
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def _find_open_headers() -> dict[str, Path]:
    """Returns where licences are of the headers whose inline functions are in a runtime."""
    tree = find_sources(OPEN_FEATURE)
    if tree is None:
        return {}
    root = tree.root / load_source_lock().select(OPEN_FEATURE).pins[0].path
    return {"darwin-headers": root, "libcxx": root / "lib/libcxx"}
