"""Lays out an xcframework.

`xcodebuild -create-xcframework` writes the same keys and folders; this writer needs no Xcode, and
the same slices give the same bytes on every machine.
"""

from __future__ import annotations

import plistlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.core.apple import ARCHIVE, FRAMEWORK, ApplePackage, AppleSlice
from builder.core.manifest import ManifestFile
from builder.core.targets import Platform
from builder.core.xcframeworks import LICENCES, MANIFEST, SliceEntry, XcframeworkManifest
from builder.system.files import digest_file, write_atomically

_HEADERS = "Headers"
_MODULE_MAP = """\
module {module} {{
  header "torchlite.h"
  link "c++"
  link framework "Accelerate"
  export *
}}
"""
"""In a folder of the module's name: Xcode copies the headers of all static xcframeworks of an app
into one folder, where module maps of one name would meet."""


def write_xcframework(package: ApplePackage, folder: Path) -> None:
    """Fills the empty `folder`, which is to be called `LibTorchLite.xcframework`."""
    write_atomically(folder / "Info.plist", render_info(package.slices))
    for one in package.slices:
        headers = folder / one.identifier / _HEADERS / FRAMEWORK
        headers.mkdir(parents=True)
        _copy(one.archive, folder / one.path)
        _copy(package.header, headers / "torchlite.h")
        write_atomically(headers / "module.modulemap", _MODULE_MAP.format(module=FRAMEWORK))
    for name, licence in sorted(package.licences.items()):
        _copy(licence, folder / LICENCES / f"{name}.txt")
    write_atomically(folder / MANIFEST, describe(package, list_files(folder)).to_text())


def render_info(slices: Iterable[AppleSlice]) -> bytes:
    """Returns `Info.plist` of an xcframework with static libraries, slices by identifier."""
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


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
