"""What is done once per configuration: upstream's build is configured, its sources generated."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.units import UnitGraph
from builder.errors import NativeBuildError
from builder.native.backend_units import add_backends, find_units
from builder.native.cmake_file_api import Roots, read_unit_graph
from builder.native.configure import configure, generate, make_includes_relative
from builder.native.generated import read_generated
from builder.native.kernel_calls import write_kernel_calls
from builder.native.ledger import sweep_objects
from builder.native.shaders import compile_shaders, write_shaders
from builder.system.files import free_bytes, write_atomically
from builder.system.listings import find_changes, is_as_sealed, seal
from builder.system.locks import folder_lock
from builder.system.replace_folders import link_folder, replacement_folder
from builder.system.scratch import sweep
from builder.system.trees import make_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.core.backends import Backend
    from builder.native.build_folders import Layout, SharedFolder
    from builder.native.job import NativeBuild

NEEDED_BYTES = 1 << 30
"""Free space to start with; a complete build of one model takes some 300 MB."""


def prepare_units(build: NativeBuild) -> UnitGraph:
    """Configures and generates unless that is done, and returns the units to choose from.

    Raises:
        NativeBuildError: no space, or one of upstream's steps failed.
    """
    layout = build.layout
    # Compilers fail in many ways on a full disk, so builder looks first.
    free = free_bytes(layout.root)
    if free < NEEDED_BYTES:
        raise NativeBuildError(
            f"{free:,} bytes free for {layout.root}, {NEEDED_BYTES:,} needed",
            hint="free some space, or choose another disk with BUILDER_CACHE=<folder>",
        )
    _remove_leftovers(layout.root)
    # The lock of the folder is held, so nobody uses what is in it.
    shutil.rmtree(layout.scratch, ignore_errors=True)
    make_folders(layout.scratch.parent)
    layout.scratch.mkdir()
    if not _is_configured(build):
        _configure(build)
    # Relative, so that the cache can be moved; sources stand in the same cache.
    link_folder(layout.source, os.path.relpath(build.tree.root, layout.root))
    link_folder(layout.runtime, str(build.runtime))
    if build.toolchain.system_root:
        link_folder(layout.sdk, str(build.toolchain.system_root))
    for one in build.features:
        link_folder(layout.root / one.backend.name, os.path.relpath(one.tree.root, layout.root))
    _write_backend_sources(build)
    graph = read_unit_graph(Roots(build.tree.root, layout.configured), build.tuning)
    return add_backends(
        graph,
        build.backends,
        build.plan.static_dispatch,
        pytorch=build.tree.root,
        made=layout.backend_sources,
        runtime=build.runtime,
        level=build.tuning.kernels,
        precision=build.plan.flavour.vulkan_precision,
    )


def _remove_leftovers(root: Path) -> None:
    """Removes what killed runs have left: their scratch, and what compilers and linkers had."""
    for folder in (root, *root.glob("plans/*"), *root.glob("plans/*/unstripped")):
        sweep(folder)
    for path in root.glob("plans/*/unstripped/*.tmp*"):  # lld renames when it is done
        path.unlink()
    sweep_objects(root / "objects")


def describe_edited(layout: Layout) -> str:
    """Returns a sentence on what somebody changed in the configured folder; empty if nothing.

    A folder that is not complete has no changes: the next build makes it.
    """
    if not layout.configured_marker.is_file():
        return ""
    try:
        listing = layout.configured_listing.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
    changes = find_changes(layout.configured, listing, layout.configured_stamps)
    return f"{layout.configured} was changed, so it is made again\n{changes}" if changes else ""


def _is_configured(build: NativeBuild) -> bool:
    """Says whether the configured folder is complete and nobody has changed it."""
    layout = build.layout
    if not layout.configured_marker.is_file() or not layout.configured_listing.is_file():
        return False
    edited = describe_edited(layout)
    if edited:
        build.progress.note(edited)
    return not edited


def _configure(build: NativeBuild) -> None:
    """Makes the configured folder beside its place: nothing else writes where it will be used."""
    layout = build.layout
    build.progress.step("configuring PyTorch and generating its sources")
    # From here on the folder is not complete, whatever happens.
    layout.configured_marker.unlink(missing_ok=True)
    with replacement_folder(layout.configured) as binary:
        configure(
            build.tree,
            build.toolchain,
            binary,
            options=build.plan.release.cmake_options,
            dispatch=build.plan.static_dispatch,
            runner=build.runner,
            log=layout.logs / "configure.log",
        )
        _generate(build, binary)
        # Before it is sealed, because this changes files.
        make_includes_relative(binary, build.tree.root)
        write_atomically(layout.configured_listing, seal(binary, layout.configured_stamps))
        os.sync()
    # The marker comes last, after everything is on the disk.
    write_atomically(layout.configured_marker, json.dumps(build.plan.to_json(), indent=2))


def _generate(build: NativeBuild, binary: Path) -> None:
    """Brings generated sources into `binary`; no other target writes them again."""
    layout = build.layout

    def make(output: Path) -> None:
        generate(
            build.tree,
            build.toolchain,
            output,
            dispatch=build.plan.static_dispatch,
            runner=build.runner,
            log_folder=layout.logs,
        )

    _make_shared(build, layout.generated, make)
    # Copied and not linked: upstream's CMake adds files of its own to these folders.
    shutil.copytree(layout.generated.root, binary, dirs_exist_ok=True)


def _compile_shaders(build: NativeBuild, backend: Backend) -> None:
    def make(output: Path) -> None:
        build.progress.step(f"compiling the shaders of {backend.label}")
        compile_shaders(
            output,
            build.tree,
            build.toolchain,
            backend.shaders,
            patches=build.plan.release.shader_patches,
            precision=build.plan.flavour.vulkan_precision,
            runner=build.runner,
            log=build.layout.logs / "shaders.log",
        )

    _make_shared(build, build.layout.shaders, make)


def _make_shared(build: NativeBuild, shared: SharedFolder, make: Callable[[Path], None]) -> None:
    """Lets `make` fill the folder, unless it is complete and nobody has changed it."""
    with folder_lock(shared.root, on_wait=build.progress.note):
        if is_as_sealed(shared.root, shared.listing, shared.stamps):
            return
        shared.listing.unlink(missing_ok=True)
        with replacement_folder(shared.root) as output:
            make(output)
            listing = seal(output, shared.stamps)
            os.sync()
        write_atomically(shared.listing, listing)


def _write_backend_sources(build: NativeBuild) -> None:
    """Writes what builder makes for backends whose kernels and shaders are called by name.

    It depends on builder's own code, so it is made by each build, and not kept with what is
    configured.
    """
    layout, pytorch = build.layout, build.tree.root
    for one in build.backends:
        backend = one.backend
        if backend.dispatch and backend.dispatch.kernels:
            units = find_units(one, build.plan.static_dispatch, pytorch=pytorch)
            code = read_generated(layout.configured)
            write_kernel_calls(layout.backend_sources, code, backend.dispatch, units)
        if backend.shaders:
            _compile_shaders(build, backend)
            write_shaders(layout.shaders.root, layout.backend_sources)
