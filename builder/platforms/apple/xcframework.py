"""xcframeworks, our own and others: found, known by their manifest, taken apart into libraries."""

from __future__ import annotations

import plistlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from builder.core.runtime_manifest import Manifest
from builder.core.targets import MIN_IOS, Platform, Target
from builder.core.typed import MAX_JSON
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.formats.damage import describe_damage
from builder.formats.macho import is_archive, split_architectures
from builder.platforms.apple.check import AppleBinary
from builder.platforms.apple.manifest import SliceEntry, XcframeworkManifest
from builder.platforms.apple.package import FRAMEWORKS
from builder.platforms.package_manifest import MANIFEST, parse_package_manifest
from builder.system.files import MAX_LIBRARY, digest_file, read_regular
from builder.verify.listing import compare_contents
from builder.verify.policy import PolicyFinding
from builder.verify.runtime import has_runtime

SUFFIX = ".xcframework"
_MAX_XML, _MAX_BINARY = 1 << 20, 1 << 13
"""Bytes of an Info.plist; Xcode writes XML. Binary lists may refer to one list again and again."""
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ExpatError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What plistlib raises for damaged files, and what entries of other types lead to."""
_PROCESSORS = {"arm64": "aarch64"}
"""Apple's name of a CPU architecture -> the name in targets, where the two differ."""


def find_xcframework(path: Path) -> Path | None:
    """Returns the xcframework at `path`: itself, or that of an output folder; None without."""
    if path.suffix == SUFFIX and path.is_dir():
        return path
    # builder writes no name that would break a message's line.
    found = (item for item in path.glob(f"apple/*{SUFFIX}") if item.name.isprintable())
    return min(found, default=None)


def choose_xcframework(path: Path, *, host_abi: str) -> Path | None:
    """Returns the xcframework that is meant by `path`; None where it is a runtime."""
    return None if has_runtime(path, host_abi=host_abi) else find_xcframework(path)


def find_manifest(framework: Path) -> XcframeworkManifest | None:
    """Returns what an xcframework says of itself; None where somebody else built it.

    Raises:
        VerificationError: its manifest cannot be read.
    """
    file = framework / MANIFEST
    if not file.is_file():
        return None
    try:
        return parse_package_manifest(read_regular(file, MAX_JSON).decode(), XcframeworkManifest)
    except ValueError as error:
        raise VerificationError(
            f"{file} is not a valid manifest: {error}", hint="build the xcframework again"
        ) from error


def read_manifest(framework: Path) -> XcframeworkManifest:
    """Returns the same; ConfigurationError where there is none."""
    manifest = find_manifest(framework)
    if manifest is None:
        raise ConfigurationError(
            f"{framework} does not say what it can run: it has no {MANIFEST}",
            hint=Hint(
                Run("build", ("MODEL", Use("targets.abis", "ios-arm64"), Use("output", "out"))),
                " makes one that does",
            ),
        )
    return manifest


def read_binaries(
    framework: Path,
    list_frameworks: Callable[[Manifest | None], tuple[str, ...]] = lambda _: FRAMEWORKS,
) -> Iterator[AppleBinary]:
    """Yields the static library of every slice, and of every CPU architecture in it.

    Args:
        framework: an xcframework, whoever built it.
        list_frameworks: returns what a slice that says so of itself links; None where it does not.

    Raises:
        ConfigurationError: `Info.plist` or a library cannot be read, or is for another system.
    """
    slices = _list_slices(framework)
    # One library named by a thousand slices would be read a thousand times.
    seen: set[Path] = set()
    for entry in _read_entries(framework):
        try:
            platform, path, files = _read_slice(framework, entry, seen)
        except (*_DAMAGE, OSError) as error:
            raise ConfigurationError(
                f"{framework} has a slice that cannot be read: {describe_damage(error)}",
                hint="builder checks static libraries for iOS and its simulator",
            ) from error
        for arch, contents in files.items():
            target = Target(platform=platform, architecture=_PROCESSORS.get(arch, arch))
            own = slices.get(target.abi)
            yield AppleBinary(
                path=f"{path} ({arch})" if len(files) > 1 else path,
                # An Info.plist does not name the deployment target, so a foreign one is held to
                # builder's default.
                target=replace(target, min_os=own.min_os if own else MIN_IOS),
                arch=arch,
                # A dynamic library has no members, which the first rule then says.
                contents=contents if is_archive(contents) else b"",
                frameworks=list_frameworks(own.runtime if own else None),
            )


def check_contents(framework: Path, manifest: XcframeworkManifest) -> Iterator[PolicyFinding]:
    """Yields the files that are not those which the manifest lists."""
    paths = (path for path in framework.rglob("*") if path.is_file())
    return compare_contents(
        {path.relative_to(framework).as_posix() for path in paths},
        manifest.files,
        lambda name: digest_file(framework / name),
        manifest=MANIFEST,
        package="xcframework",
    )


def _list_slices(framework: Path) -> Mapping[str, SliceEntry]:
    """Returns ABI -> what the manifest says; nothing where there is none."""
    manifest = find_manifest(framework)
    return manifest.slices if manifest else {}


def _read_slice(
    framework: Path, entry: Mapping[str, Any], seen: set[Path]
) -> tuple[Platform, str, dict[str, bytes]]:
    """Returns the platform of a slice, its library's path, and architecture -> library.

    The library is added to those that were `seen`; ValueError when it is one of them.
    """
    variant = entry.get("SupportedPlatformVariant")
    name = f"{entry['SupportedPlatform']}-{variant}" if variant else entry["SupportedPlatform"]
    path = f"{entry['LibraryIdentifier']}/{entry.get('BinaryPath') or entry['LibraryPath']}"
    file = _stay_inside(framework, path)
    if file in seen:
        raise ValueError(f"{path!r:.120} is the library of another slice too")
    seen.add(file)
    data = read_regular(file, MAX_LIBRARY)
    (arch, *_) = entry["SupportedArchitectures"]
    if not isinstance(arch, str):
        what = f"not the name of a CPU architecture: {arch!r:.60}"
        raise ValueError(what)  # noqa: TRY004 - as other damage
    return Platform(name), path, split_architectures(data) or {arch: data}


def _read_entries(framework: Path) -> list[dict[str, Any]]:
    try:
        data = read_regular(framework / "Info.plist", max(_MAX_BINARY, _MAX_XML))
        # A short binary list can stand for a very large one: its items are references.
        if len(data) > (_MAX_BINARY if data.startswith(b"bplist") else _MAX_XML):
            raise ValueError(f"it has {len(data):,} bytes, more than any real one")
        info = plistlib.loads(data)
        return [dict(entry) for entry in info["AvailableLibraries"]]
    except (*_DAMAGE, OSError) as error:
        why = str(error) if isinstance(error, ValueError | OSError) else type(error).__name__
        raise ConfigurationError(
            f"{framework} is not an xcframework: its Info.plist cannot be read ({why})",
            hint="an xcframework is a folder with an Info.plist",
        ) from error


def _stay_inside(framework: Path, path: str) -> Path:
    """Returns the file at `path`, whatever links lead to it; ValueError when it is outside."""
    # Links are followed before the place is judged.
    file = (framework / path).resolve()
    if ".." in path.split("/") or not file.is_relative_to(framework.resolve()):
        raise ValueError(f"{path!r:.120} leads out of the xcframework")
    if not file.is_file():
        raise ValueError(f"{path!r:.120} is not a file")
    return file
