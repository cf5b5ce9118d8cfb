"""The headers for C++ compile with the compilers and standards that apps use, without a warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder.packaging.headers import list_headers
from tests.contract.documents import ROOT

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
CLANGS = ("clang++", *(f"clang++-{release}" for release in range(21, 13, -1)))
CLANG = next(filter(shutil.which, CLANGS), "clang++")
COMPILERS = [*filter(shutil.which, ("g++",)), CLANG]
INCLUDED = ["torchlite.hpp", "LibTorch-Lite/LibTorch-Lite.h"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The headers as they lie on Linux, and in an xcframework."""
    root = tmp_path_factory.mktemp("include")
    for name, path in list_headers().items():
        inner = name if "/" in name else f"LibTorchLite/{name}"
        for place in (root / "linux" / name, root / "apple" / inner):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return {name: root / name for name in ("linux", "apple")}


def compile_text(*command: object, text: str = "") -> None:
    ran = subprocess.run(
        tuple(map(str, command)), input=text, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("standard", ["c++14", "c++17", "c++20"])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("header", INCLUDED)
def test_a_header_needs_no_other_in_front_of_it(folders, header, compiler, standard):
    flags = (f"-std={standard}", *WARNINGS, "-fsyntax-only", "-I", folders["linux"], "-x", "c++")
    compile_text(compiler, *flags, "-", text=f"#include <{header}>\n")


def test_both_go_together_and_twice(folders, tmp_path):
    text = "".join(f"#include <{header}>\n" for header in (*INCLUDED, *INCLUDED))
    units = [tmp_path / "one.cpp", tmp_path / "other.cpp"]
    units[0].write_text(text + "int main() { return 0; }\n")
    units[1].write_text(text)
    # Two units of one program: what is defined in a header must be inline.
    flags = ("-std=c++17", "-I", folders["linux"], "-Wl,--unresolved-symbols=ignore-all")
    compile_text(COMPILERS[0], *flags, *units, "-o", tmp_path / "program")


@pytest.mark.parametrize("standard", ["gnu++14", "gnu++17"])
def test_a_bridge_of_the_old_pod_compiles_unchanged(folders, standard):
    """Against our own declarations of Foundation, as Apple's are not here."""
    flags = ("-x", "objective-c++", f"-std={standard}", "-fobjc-arc", "-Wall", "-Werror")
    source = ROOT / "tests/data/objc/TorchModule.mm"
    runtime = ("-fobjc-runtime=macosx-10.15", "-fsyntax-only", "-I", folders["apple"])
    compile_text(CLANG, *flags, *runtime, "-I", source.parent, source)
