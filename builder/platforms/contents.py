"""What packages of every platform hold and say beside their libraries."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.components import BUILDER, describe_pin, describe_sources
from builder.core.runtime_manifest import Manifest
from builder.errors import ConfigurationError
from builder.packaging.headers import list_headers
from builder.packaging.runtimes import find_archives, name_runtimes
from builder.platforms.apple.facts import OPEN_FEATURE
from builder.platforms.results import LibraryResult
from builder.size.elf.linkmap import read_pieces
from builder.sources.trees import find_sources
from builder.system.folders import locate_licence

if TYPE_CHECKING:
    from builder.core.artifacts import SizeReport
    from builder.core.components import Component
    from builder.core.model_facts import OperatorList
    from builder.core.plan import BuildPlan
    from builder.core.release import Release
    from builder.native.job import LinkedRuntime, NativeBuild


def describe_library(one: LinkedRuntime, size: SizeReport) -> LibraryResult:
    """Returns what packages say of a library that was just linked; its bytes go where `size` says.

    What is read here are files of the cache, so the lock of the configuration must be held.
    """
    build = one.build
    return LibraryResult(
        linked=one.linked,
        plan=build.plan,
        toolchain=build.toolchain,
        size=size,
        manifest=make_manifest(build.plan, one.serving.operators),
        components=find_components(one),
        carried_components=find_carried(one),
        licences=find_licences(build),
        headers=list_headers(),
    )


def find_components(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns builder itself, the sources of linked units, and libraries of the toolchain.

    A source of which only headers were read is among them; one of which nothing was read is not.
    """
    # A set: one source can be found both through a feature and through PyTorch's tree.
    found = {BUILDER, *_find_sources(one), *_find_runtimes(one)}
    return tuple(sorted(found))


def find_carried(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns what of others is in the libraries of the toolchain that go beside a runtime."""
    names = [carried.library.name for carried in one.linked.carried]
    return name_runtimes(names, one.build.toolchain)


def _find_sources(one: LinkedRuntime) -> tuple[Component, ...]:
    lock = one.build.plan.release.lock
    features = ("", *(located.backend.sources for located in one.build.features))
    pins = [pin for name in features for pin in lock.select(name).pins]
    found = describe_sources(pins, one.linked.inputs)
    sdk = one.build.toolchain.sdk
    headers = lock.select(OPEN_FEATURE).pins if sdk and sdk.is_open else ()
    return (*found, *map(describe_pin, headers))


def _find_runtimes(one: LinkedRuntime) -> tuple[Component, ...]:
    """Returns what the link took of static libraries; nothing where they are the system's.

    Link-time optimisation hides the owners of what was bitcode, so the link before it counts too.
    """
    # The C and C++ libraries of Apple's platforms are those of the system.
    if one.build.plan.target.is_apple:
        return ()
    maps = (one.linked.map_file, one.linked.units_map)
    pieces = [piece for path in maps if path is not None for piece in read_pieces(path)]
    # An empty piece was dropped, so nothing of its archive is in the library.
    archives = find_archives(piece.owner for piece in pieces if piece.size)
    return name_runtimes(archives, one.build.toolchain)


_LICENCES = (
    *("LICEN[CS]E*", "COPYING", "COPYING.MPL2", "COPYING.APACHE", "COPYING.BSD"),
    *("NOTICE*", "*_hdronly.h"),
)


def list_pins(release: Release) -> dict[str, str]:
    """Returns source -> SHA-256, of all that packages of `release` are built from."""
    return {pin.name: pin.sha256 for pin in release.lock.pins}


def make_manifest(plan: BuildPlan, served: OperatorList) -> Manifest:
    """Returns what a runtime of `plan` that serves `served` says of itself; it lists no files."""
    return Manifest(
        abi=plan.target.abi,
        operators=tuple(served.operators),
        custom_classes=plan.operator_list.custom_classes,
        bytecode_versions=plan.release.facts.bytecode,
        models=plan.operator_list.models,
        source_version=plan.release.version,
        source_digest=plan.release.source_digest,
        # Names without digests: these are in the plan's key.
        features=tuple(name for name, _ in plan.features),
        accelerators=tuple(one.name for one in plan.accelerators),
        plan_key=plan.key,
        static_dispatch=tuple(map(str, plan.static_dispatch)),
        toolchain=plan.toolchain,
        dtypes=plan.dtypes,
        core=plan.core,
        files={},
    )


def find_licences(build: NativeBuild) -> dict[str, Path]:
    """Returns name -> file of the licences of everything that may be in a runtime of `build`.

    builder's own licence is among them.
    """
    lock, tree = build.plan.release.lock, build.tree
    folders = {pin.name: tree.root / pin.path for pin in lock.select().pins}
    for pin in lock.pins:
        # Components inside a source have licence files of their own.
        for bundled in pin.bundled:
            folders[Path(bundled.path).name] = tree.root / pin.path / bundled.path
    for one in build.features:
        pins = lock.select(one.backend.sources).pins
        folders |= {pin.name: one.tree.root / pin.path for pin in pins}
    if build.toolchain.sdk and build.toolchain.sdk.is_open:
        folders |= _find_open_headers(build.plan.release)
    own = {"builder-LICENSE": locate_licence()}
    return own | {
        f"{name}-{path.name.removesuffix('.txt')}": path
        for name, folder in folders.items()
        for pattern in _LICENCES
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def _find_open_headers(release: Release) -> dict[str, Path]:
    """Returns where licences are of the headers whose inline functions are in a runtime."""
    tree = find_sources(release, OPEN_FEATURE)
    if tree is None:
        return {}
    root = tree.root / release.lock.select(OPEN_FEATURE).pins[0].path
    return {"darwin-headers": root, "libcxx": root / "lib/libcxx"}


def refuse_same_names(files: Iterable[Path], *, called: str) -> None:
    """Raises ConfigurationError where two of `files`, `called` so, have one name."""
    names = [path.name for path in files]
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"two of the {called} have one name: {', '.join(sorted(names))}",
            hint=f"rename one of them: each of the {called} gets the name of its file",
        )
