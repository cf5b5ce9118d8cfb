"""Lays out an xcframework: its slices by Xcode where there is one, otherwise as Xcode does it.

Licences and builder's manifest come on top, whoever wrote the slices.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.core.runtime_manifest import ManifestFile
from builder.core.targets import Platform
from builder.packaging.sbom import render_sbom
from builder.packaging.sbom_subject import PackagedFile, Subject
from builder.platforms.apple.manifest import SliceEntry, XcframeworkManifest
from builder.platforms.apple.package import ARCHIVE, FRAMEWORK, POD, ApplePackage, AppleSlice
from builder.platforms.apple.xcodebuild import create_xcframework, sort_info
from builder.platforms.package_manifest import LICENCES, MANIFEST, SBOM
from builder.system.files import copy_file, digest_file, write_atomically
from builder.system.process import Runner
from builder.system.scratch import scratch_folder

_HEADERS = "Headers"
_MODULE_MAP = """\
module {module} {{
  header "torchlite.h"
  link "c++"
{frameworks}
  export *
}}
"""
"""In a folder of the module's name: Xcode copies the headers of all static xcframeworks of an app
into one folder, where module maps of one name would meet."""


def write_xcframework(package: ApplePackage, folder: Path, *, xcode: Runner | None = None) -> None:
    """Makes `folder`, which is to be called `LibTorchLite.xcframework`.

    Args:
        package: what goes in.
        folder: does not exist yet.
        xcode: runs `xcodebuild -create-xcframework`; without it, builder writes the slices, with
            the same bytes on every machine.

    Raises:
        PackagingError: xcodebuild refuses a library, or names a slice otherwise.
    """
    # Under Linux builder writes what Xcode would write; an app's Xcode reads both alike.
    if xcode is None:
        write_atomically(folder / "Info.plist", render_info(package.slices))
        for one in package.slices:
            copy_file(one.archive, folder / one.path)
            write_headers(package, folder / one.identifier / _HEADERS)
    else:
        _write_with_xcode(package, folder, xcode)
    for name, licence in sorted(package.licences.items()):
        # Digests in the manifest cover these files, so they are written before it.
        copy_file(licence, folder / LICENCES / f"{name}.txt")
    write_atomically(folder / SBOM, _describe_contents(package, folder))
    write_atomically(folder / MANIFEST, describe(package, list_files(folder)).to_text())


def write_headers(package: ApplePackage, folder: Path) -> None:
    """Writes the headers, and the module map of the C header, below `folder`."""
    for name, header in package.headers.items():
        # Those in a folder of their own are included by this name, and no part of the module.
        copy_file(header, folder / (name if "/" in name else f"{FRAMEWORK}/{name}"))
    # Module maps link what the library needs, so an app names no framework itself.
    linked = "\n".join(f'  link framework "{name}"' for name in package.frameworks)
    text = _MODULE_MAP.format(module=FRAMEWORK, frameworks=linked)
    write_atomically(folder / FRAMEWORK / "module.modulemap", text)


def _write_with_xcode(package: ApplePackage, folder: Path, xcode: Runner) -> None:
    with scratch_folder() as scratch:
        libraries = []
        for one in package.slices:
            staged = scratch / one.identifier
            copy_file(one.archive, staged / ARCHIVE)
            write_headers(package, staged / _HEADERS)
            libraries.append((staged / ARCHIVE, staged / _HEADERS))
        create_xcframework(xcode, libraries, folder)
    # xcodebuild writes the slices in no fixed order.
    sort_info(folder, [one.path for one in package.slices])


def render_info(slices: Iterable[AppleSlice]) -> bytes:
    """Returns `Info.plist` of an xcframework with static libraries, slices by identifier."""
    # Sorted by identifier, so that equal packages give equal bytes.
    listed = sorted(slices, key=lambda one: one.identifier)
    info = {
        "AvailableLibraries": [_describe_slice(one) for one in listed],
        "CFBundlePackageType": "XFWK",
        "XCFrameworkFormatVersion": "1.0",
    }
    return plistlib.dumps(info, sort_keys=True)


def describe(package: ApplePackage, files: Mapping[str, ManifestFile]) -> XcframeworkManifest:
    """Returns what an xcframework with these files says of itself."""
    paths = {one.platform: one.path for one in package.slices}
    return XcframeworkManifest(
        version=package.version,
        pins=package.pins,
        slices={
            library.target.abi: SliceEntry(
                path=paths[library.target.platform],
                arch=library.arch,
                min_os=library.target.min_os,
                flags=library.flags,
                linked=library.linked,
                compressed=library.compressed,
                runtime=library.manifest,
            )
            for library in package.libraries
        },
        files=files,
    )


def _describe_contents(package: ApplePackage, folder: Path) -> str:
    """Returns the software bill of materials; it is the pod's, which has a package URL."""
    files = []
    for one in package.slices:
        own = [library for library in package.libraries if library.target.platform is one.platform]
        parts = {component for library in own for component in library.components}
        files.append(
            PackagedFile(
                path=one.path,
                sha256=digest_file(folder / one.path),
                components=tuple(sorted(parts)),
                manifests=tuple(library.manifest for library in own),
            )
        )
    return render_sbom(Subject(kind="cocoapods", name=POD, version=package.version), files)


def list_files(folder: Path) -> dict[str, ManifestFile]:
    """Returns path -> size and digest of all files below `folder`."""
    return {
        path.relative_to(folder).as_posix(): ManifestFile(
            size=path.stat().st_size, sha256=digest_file(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _describe_slice(one: AppleSlice) -> dict[str, object]:
    simulator = one.platform is Platform.IOS_SIMULATOR
    return {
        "BinaryPath": ARCHIVE,
        "HeadersPath": _HEADERS,
        "LibraryIdentifier": one.identifier,
        "LibraryPath": ARCHIVE,
        "SupportedArchitectures": sorted(one.archs),
        "SupportedPlatform": "ios",
        **({"SupportedPlatformVariant": "simulator"} if simulator else {}),
    }
