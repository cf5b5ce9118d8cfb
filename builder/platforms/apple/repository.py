"""Writes what an app's project takes: xcframework, its zip archive, Swift package, pod."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.errors import PackagingError
from builder.packaging.result_folder import result_folder
from builder.platforms.apple.archive import write_xcframework
from builder.platforms.apple.package import FRAMEWORK, ApplePackage, WrittenApple
from builder.platforms.apple.specs import (
    POD_ARCHIVE,
    PODSPEC,
    RESOURCES,
    SOURCES,
    render_package,
    render_pod,
)
from builder.system.files import digest_file, write_atomically
from builder.system.process import Runner
from builder.system.zips import list_folder, write_zip

FOLDER = "apple"
"""Below the output folder."""
_XCFRAMEWORK = f"{FRAMEWORK}.xcframework"


def write_apple(
    package: ApplePackage, output: Path, *, xcode: Runner | None = None
) -> WrittenApple:
    """Writes `output/apple`, replaced as a whole or not at all; equal packages give equal bytes.

    `xcode` runs xcodebuild, which then makes the xcframework.

    Raises:
        ConfigurationError: something in `output/apple` is not builder's.
        PackagingError: no slice, a platform twice, a file that is not there, one that Xcode
            refuses, or it cannot be written.
    """
    _check(package)
    target = output / FOLDER
    with result_folder(target) as folder:
        write_xcframework(package, folder / _XCFRAMEWORK, xcode=xcode)
        _write_sources(package, folder)
        archive = folder / f"{_XCFRAMEWORK}.zip"
        framework = list_folder(folder / _XCFRAMEWORK, f"{_XCFRAMEWORK}/")
        write_zip(framework, archive)
        checksum = digest_file(archive)  # as `swift package compute-checksum` does
        write_atomically(folder / f"{archive.name}.sha256", f"{checksum}  {archive.name}\n")
        sources = list_folder(folder / SOURCES, f"{SOURCES}/")
        # A pod takes one archive, so its own holds the Swift sources too.
        write_zip(framework | sources, folder / POD_ARCHIVE)
        _write_specs(package, folder)
        if package.options.url is not None:
            _write_release(package, folder, package.options.url, checksum)
    return locate_apple(output, version=package.version, checksum=checksum)


def locate_apple(output: Path, *, version: str, checksum: str) -> WrittenApple:
    """Returns where `write_apple` writes below `output`."""
    folder = output / FOLDER
    return WrittenApple(
        folder=folder,
        framework=folder / _XCFRAMEWORK,
        archive=folder / f"{_XCFRAMEWORK}.zip",
        checksum=checksum,
        version=version,
    )


def _write_sources(package: ApplePackage, folder: Path) -> None:
    shutil.copytree(package.sources / SOURCES, folder / SOURCES, copy_function=shutil.copyfile)
    for path in package.resources:
        resources = folder / SOURCES / RESOURCES
        resources.mkdir(exist_ok=True)
        shutil.copyfile(path, resources / path.name)


def _write_specs(package: ApplePackage, folder: Path) -> None:
    """For an app on this machine."""
    names = [path.name for path in package.resources]
    linked = package.frameworks
    local = render_package(min_os=package.min_os, resources=names, frameworks=linked)
    write_atomically(folder / "Package.swift", local)
    write_atomically(folder / PODSPEC, _render_pod(package, folder, url=None))


def _write_release(package: ApplePackage, folder: Path, url: str, checksum: str) -> None:
    """Fills `release` with what a repository of packages takes: archives by URL and checksum."""
    release = folder / "release"
    shutil.copytree(folder / SOURCES, release / SOURCES, copy_function=shutil.copyfile)
    names = [path.name for path in package.resources]
    remote = render_package(
        min_os=package.min_os,
        url=url,
        checksum=checksum,
        resources=names,
        frameworks=package.frameworks,
    )
    write_atomically(release / "Package.swift", remote)
    # Both archives are uploaded to one folder.
    beside = f"{url.rpartition('/')[0]}/{POD_ARCHIVE}"
    write_atomically(release / PODSPEC, _render_pod(package, folder, url=beside))


def _render_pod(package: ApplePackage, folder: Path, *, url: str | None) -> str:
    return render_pod(
        version=package.version,
        min_os=package.min_os,
        checksum=digest_file(folder / POD_ARCHIVE),
        url=url,
        resources=[path.name for path in package.resources],
        frameworks=package.frameworks,
    )


def _check(package: ApplePackage) -> None:
    platforms = [one.platform for one in package.slices]
    # An xcframework takes one library per platform; several CPU architectures belong into one file.
    if not platforms or len(set(platforms)) != len(platforms):
        raise PackagingError(f"an xcframework needs one library per platform, not {platforms}")
    given = [*package.headers.values(), *package.licences.values(), *package.resources]
    for path in (*given, *(one.archive for one in package.slices)):
        if not path.is_file():
            raise PackagingError(f"the xcframework cannot contain {path}: it is not a file")
