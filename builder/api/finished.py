"""Builds that are finished already: the same build again answers from the output folder.

When a build has written its results, a record in the cache says what they are. The name of the
record is a digest of all that decides them: the plans, the models, the options of packages, and
builder's own files. The record has the digests of the manifests in the output folder, and these
have the digests of all other files. So a later build can tell that there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.api.build_report import BuildReport
from builder.api.link import PlannedTarget
from builder.core.artifacts import Package, SizeReport
from builder.core.plan import BuildPlan, BuildRequest, Interface
from builder.core.runtime_manifest import parse_manifest
from builder.core.targets import Platform
from builder.core.typed import Sha256, Size, parse_json, to_json
from builder.native.build_folders import Layout
from builder.native.interfaces import find_library
from builder.native.link_macho import ARCHIVE
from builder.packaging.result_folder import LISTING, MANIFEST, digest_modes, is_whole
from builder.packaging.runtime_folder import RUNNER, SIZE_REPORT, parse_size_report
from builder.platforms.android.build import AarResult
from builder.platforms.android.package import choose_coordinates
from builder.platforms.android.repository import is_listed, locate_aar
from builder.platforms.apple.build import AppleResult
from builder.platforms.apple.repository import locate_apple
from builder.platforms.package_options import PackageOptions
from builder.platforms.results import RuntimeResult
from builder.system.files import digest_file, read_regular, write_atomically
from builder.system.folders import cache_folder
from builder.system.own_cache import claim_cache
from builder.system.own_files import digest_own_files
from builder.system.process import Runner
from builder.system.trees import make_folders
from builder.toolchains.jdk import locate_jdk
from builder.verify.policy import PolicyReport

FOLDER = "finished"
"""Folder of the cache."""
_SCHEMA = 1
_MOST = 16 << 20
"""Bytes of a record, which has the sizes of all translation units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runtime:
    """What a record knows of the folder of one ABI."""

    manifest: Sha256
    modes: Sha256
    """Digest of permissions and names; see `digest_modes`."""
    has_runner: bool
    units_linked: Size
    units_known: Size
    rounds: Size
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """What a record knows of an AAR or an xcframework."""

    listing: Sha256
    """Digest of the list of its files."""
    modes: Sha256
    """Digest of permissions and names; see `digest_modes`."""
    sizes: Mapping[str, SizeReport]
    report: PolicyReport
    archives: Mapping[str, Size] = field(default_factory=dict)
    checksum: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The contents of a file in `FOLDER`."""

    runtimes: Mapping[str, _Runtime]
    """ABI -> its folder."""
    package: _Packed | None = None
    schema: int = _SCHEMA


def name_build(
    planned: Sequence[PlannedTarget],
    interfaces: Sequence[Interface],
    request: BuildRequest,
    options: PackageOptions,
) -> str:
    """Returns a digest of all that decides the results of a build for targets of one platform."""
    has_java = any(
        one.plan.target.is_android
        or (one.plan.target.platform is Platform.LINUX and options.linux.jni)
        for one in planned
    )
    decisive = {
        "builder": digest_own_files(),
        "plans": [one.plan.to_json() for one in planned],
        "keys": [[replace(one.plan, interface=i).key for i in interfaces] for one in planned],
        # The manifest, the bill of materials and the prices name models and their digests.
        "models": [to_json(one.plan.operator_list.models) for one in planned],
        "skip_unknown": request.skip_unknown,
        "page_size": request.tools.page_size,
        "options": to_json(replace(options, assets=())),
        "assets": [[path.name, digest_file(path)] for path in options.assets],
        "jdk": locate_jdk(Runner.inherit_for_tools()).version if has_java else "",
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def find_finished(
    name: str, planned: Sequence[PlannedTarget], output: Path, options: PackageOptions
) -> BuildReport | None:
    """Returns what the build `name` has written to `output`; None unless all of it is whole.

    Every file is read and compared with its digest.
    """
    path = cache_folder() / FOLDER / f"{name}.json"
    try:
        text = read_regular(path, _MOST)
        record = parse_json(text, _Record, "record", newest=_SCHEMA, most=_MOST)
        runtimes = [_find_runtime(record, one, output) for one in planned]
    except (OSError, ValueError):
        return None
    found = tuple(one for one in runtimes if one is not None)
    if len(found) != len(planned):
        return None
    # The time of a record says when it was used last, for `builder cache prune`.
    with suppress(OSError):
        os.utime(path)
    if record.package is None:
        return BuildReport(runtimes=found)
    if planned[0].plan.target.is_android:
        aar = _find_aar(record.package, planned[0], output, options)
        return BuildReport(runtimes=found, aar=aar) if aar else None
    apple = _find_apple(record.package, output)
    return BuildReport(runtimes=found, apple=apple) if apple else None


def remember_finished(name: str, report: BuildReport) -> None:
    """Writes down what a build for targets of one platform has written, under its name.

    A failure to write is not an error: then the next build does everything again.
    """
    with suppress(OSError):
        record = _Record(
            runtimes={one.plan.target.abi: _describe_runtime(one) for one in report.runtimes},
            package=_describe_package(report),
        )
        claim_cache(cache_folder())
        path = cache_folder() / FOLDER / f"{name}.json"
        make_folders(path.parent)
        write_atomically(path, json.dumps(to_json(record)))


def _find_runtime(record: _Record, one: PlannedTarget, output: Path) -> RuntimeResult | None:
    abi = one.plan.target.abi
    known, root = record.runtimes.get(abi), output / abi
    if known is None or not _is_whole(root, MANIFEST, known.manifest, known.modes):
        return None
    # A record names no file: whoever wrote it could let any one be copied into apps.
    library = f"lib/{_name_library(one.plan)}"
    if library not in parse_manifest((root / MANIFEST).read_text()).files:
        return None
    # A copy of the folder may have lost this, and digests do not show it.
    if known.has_runner and not os.access(root / RUNNER, os.X_OK):
        return None
    return RuntimeResult(
        plan=one.plan,
        package=Package(
            root=root,
            library=root / library,
            runner=root / RUNNER,
            manifest=root / MANIFEST,
        ),
        runner=root / RUNNER if known.has_runner else None,
        size=parse_size_report((root / SIZE_REPORT).read_text()),
        units_linked=known.units_linked,
        units_known=known.units_known,
        units_compiled=0,
        rounds=known.rounds,
        seconds=0.0,
        logs=Layout.of(cache_folder(), one.plan).logs,
        skipped=known.skipped,
        is_reused=True,
    )


def _name_library(plan: BuildPlan) -> str:
    if plan.target.is_apple:
        return ARCHIVE
    return find_library(plan.interface, plan.core).name_for(plan.target)


def _is_whole(folder: Path, manifest: str, sha256: str, modes: str) -> bool:
    return is_whole(folder, manifest, sha256) and digest_modes(folder) == modes


def _find_aar(
    packed: _Packed, one: PlannedTarget, output: Path, options: PackageOptions
) -> AarResult | None:
    coordinates = choose_coordinates(options.android, one.plan.release.version)
    written = locate_aar(coordinates, output)
    is_ours = _is_whole(written.folder, LISTING, packed.listing, packed.modes)
    if not is_ours or not is_listed(coordinates, output):
        return None
    return AarResult(written=written, sizes=packed.sizes, report=packed.report)


def _find_apple(packed: _Packed, output: Path) -> AppleResult | None:
    written = locate_apple(output, version=packed.version, checksum=packed.checksum)
    if not _is_whole(written.folder, LISTING, packed.listing, packed.modes):
        return None
    return AppleResult(
        written=written, sizes=packed.sizes, archives=packed.archives, report=packed.report
    )


def _describe_runtime(one: RuntimeResult) -> _Runtime:
    match one.package:
        case Package(root=root, manifest=manifest):
            return _Runtime(
                manifest=digest_file(manifest),
                modes=digest_modes(root),
                has_runner=one.runner is not None,
                units_linked=one.units_linked,
                units_known=one.units_known,
                rounds=one.rounds,
                skipped=one.skipped,
            )


def _describe_package(report: BuildReport) -> _Packed | None:
    aar, apple = report.aar, report.apple
    if aar:
        listing = digest_file(aar.written.folder / LISTING)
        return _Packed(
            listing=listing,
            modes=digest_modes(aar.written.folder),
            sizes=aar.sizes,
            report=aar.report,
        )
    if apple:
        return _Packed(
            listing=digest_file(apple.written.folder / LISTING),
            modes=digest_modes(apple.written.folder),
            sizes=apple.sizes,
            report=apple.report,
            archives=apple.archives,
            checksum=apple.written.checksum,
            version=apple.written.version,
        )
    return None
