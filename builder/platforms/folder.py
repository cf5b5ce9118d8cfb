"""The folder `<output>/<abi>` of every target: measured, priced, and laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.oplists.write import render_op_list
from builder.packaging.runtime_folder import OtherFile, write_package
from builder.platforms.contents import describe_library
from builder.platforms.results import LibraryResult
from builder.selection.catalogue import is_limited
from builder.size.elf.linked import read_elf
from builder.size.linked_graph import Registry, build_graph
from builder.size.macho.linked import read_image
from builder.size.macho.measure import measure_image
from builder.size.measure import measure
from builder.size.prices import price_operators
from builder.size.reference_graph import render_references
from builder.system.folders import data_folder

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult, Package, SizeReport
    from builder.core.selection import ServedOperators
    from builder.core.units import UnitGraph
    from builder.native.job import LinkedRuntime
    from builder.size.linked_library import Linked
    from builder.size.reference_graph import ReferenceGraph


def package_runtime(
    one: LinkedRuntime, root: Path, *, others: Sequence[OtherFile] = ()
) -> tuple[Package, LibraryResult]:
    """Lays out a library in the folder `root`; returns that, and what packages say of the library.

    `others` are further files for the folder.

    Raises:
        ConfigurationError: `root` has something that builder did not write.
        PackagingError: it cannot be written.
    """
    one.build.progress.step(f"packaging {root}")
    size, references = _measure_with_prices(one)
    result = describe_library(one, size)
    package = write_package(
        root,
        one.linked,
        manifest=result.manifest,
        size=size,
        references=None if references is None else render_references(references),
        operator_list=render_op_list(one.serving.operators),
        cmake=data_folder("cmake"),
        licences=result.licences,
        components=result.components,
        carried_components=result.carried_components,
        others=others,
    )
    return package, result


def measure_library(one: LinkedRuntime) -> SizeReport:
    """Returns where the bytes of a library go; operators have no prices."""
    linked, objects = one.linked, one.build.layout.objects
    units_map = linked.units_map
    if linked.image is None:
        return measure(linked.library, linked.map_file, objects, units_map=units_map)
    return measure_image(linked.image, linked.map_file, objects, units_map=units_map)


def _measure_with_prices(one: LinkedRuntime) -> tuple[SizeReport, ReferenceGraph | None]:
    size, served = measure_library(one), one.serving.operators
    try:
        read = _read_linked(one.linked, one.build.layout.objects)
    # A library without prices is still a library that works.
    except ValueError as error:
        one.build.progress.note(f"operators have no prices: {error}")
        read = None
    if read is None:
        return size, None
    references = build_graph(read, make_registry(one.serving, one.graph))
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
        # Operators that were left out have no bytes to count.
        by_hand={o: units for o, units in selection.by_hand.items() if o in served},
        always=selection.always,
        limited=frozenset(u for u in registering if is_limited(Path(graph.units[u].source))),
    )
