"""A small Android package that several tests start from; its libraries are texts."""

from __future__ import annotations

from pathlib import Path

from samples import COMPONENTS, make_manifest

from builder.platforms.android.package import (
    AndroidLibrary,
    AndroidPackage,
    Coordinates,
    JavaPart,
    default_version,
)

PACKAGE_FILES = {
    "java/src/org/pytorch/Module.java": "class Module {}",
    "java/proguard.txt": "-keep class org.pytorch.Tensor\n",
    "classes/org/pytorch/Module.class": "bytecode",
    "javadoc/index.html": "<html>",
    "torchlite.h": "int torchlite_version(void);",
    "model.ptl": "a model",
    "LICENSE": "as you like",
}


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_library(folder: Path, abi: str, **changes: object) -> AndroidLibrary:
    name = "libpytorch_jni_lite.so"
    texts = {f"{abi}/{name}": f"library {abi}", f"{abi}/full/{name}": f"symbols {abi}"}
    write_files(folder, texts)
    values = {
        "abi": abi,
        "library": folder / abi / name,
        "unstripped": folder / abi / "full" / name,
        "manifest": make_manifest(abi=f"android-{abi}"),
        "page_size": 4096 if abi == "armeabi-v7a" else 16384,
        "flags": ("profile=size",),
        "components": COMPONENTS if abi == "x86_64" else COMPONENTS[1:],
    }
    return AndroidLibrary(**{**values, **changes})


def make_package(folder: Path, **changes: object) -> AndroidPackage:
    write_files(folder, PACKAGE_FILES)
    values = {
        "coordinates": Coordinates(version=default_version("2.6.0")),
        "min_api": 21,
        "libraries": tuple(make_library(folder, abi) for abi in ("x86_64", "armeabi-v7a")),
        "java": JavaPart(
            sources=folder / "java/src",
            classes=folder / "classes",
            javadoc=folder / "javadoc",
            rules=folder / "java/proguard.txt",
        ),
        "licences": {"c10-LICENSE": folder / "LICENSE"},
        "pins": {"pytorch": "a" * 40},
    }
    return AndroidPackage(**{**values, **changes})
