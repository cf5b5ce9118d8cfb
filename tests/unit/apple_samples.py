"""A small package for Apple's systems that several tests start from; its libraries are texts."""

from __future__ import annotations

from pathlib import Path

from samples import COMPONENTS, make_manifest

from builder.core.targets import parse_target
from builder.platforms.apple.package import AppleLibrary, ApplePackage, AppleSlice
from builder.system.folders import data_folder


def make_library(folder: Path, abi: str, arch: str = "arm64") -> AppleLibrary:
    archive = folder / f"{abi}.a"
    archive.write_bytes(f"!<arch>\n{abi}".encode())
    return AppleLibrary(
        target=parse_target(abi),
        arch=arch,
        archive=archive,
        manifest=make_manifest(abi=abi),
        linked=1000,
        compressed=400,
        flags=("profile=size",),
        components=tuple(one for one in COMPONENTS if not one.prebuilt),
    )


def make_package(work: Path) -> ApplePackage:
    work.mkdir()
    libraries = tuple(make_library(work, abi) for abi in ("ios-arm64", "ios-simulator-arm64"))
    for name in ("torchlite.h", "LICENSE", "model.ptl"):
        (work / name).write_text(name)
    return ApplePackage(
        version="2.6.0.1",
        libraries=libraries,
        slices=tuple(
            AppleSlice(platform=one.target.platform, archs=(one.arch,), archive=one.archive)
            for one in libraries
        ),
        headers={"torchlite.h": work / "torchlite.h"},
        sources=data_folder("swift"),
        licences={"pytorch-LICENSE": work / "LICENSE"},
        pins={"pytorch": "0" * 64},
        resources=(work / "model.ptl",),
    )
