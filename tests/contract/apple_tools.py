"""Clang, lld and LLVM's tools for iOS, and an SDK of stubs only: sources include nothing."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from samples import make_tool, make_toolchain

from builder.core.targets import parse_target
from builder.core.toolchain import Bitcode
from builder.formats.macho import ZERO_FILL, read_macho
from builder.formats.tbd import render_stub
from builder.formats.unwind_info import parse_unwind_info

MAJORS = range(21, 15, -1)


def find_tools():
    """Returns clang's release and where the tools of that release are; None without."""
    for major in MAJORS:
        clang = shutil.which(f"clang-{major}")
        linker = shutil.which(f"ld64.lld-{major}")
        if clang and linker:
            folder = Path(linker).resolve().parent
            if (folder / "llvm-libtool-darwin").is_file():
                return major, clang, folder
    return None


TOOLS = find_tools()


def write_sdk(root, system, cxx=("_x",)):
    targets = ("arm64-ios", "arm64-ios-simulator", "x86_64-ios-simulator")
    (root / "usr/lib").mkdir(parents=True)
    for name, symbols in {"libSystem": system, "libc++": cxx}.items():
        install = f"/usr/lib/{name}.dylib"
        (root / f"usr/lib/{name}.tbd").write_text(render_stub(install, symbols, targets))
    framework = root / "System/Library/Frameworks/Accelerate.framework"
    framework.mkdir(parents=True)
    stub = render_stub("/Accelerate", ("_cblas_sgemm",), targets)
    (framework / "Accelerate.tbd").write_text(stub)
    return root


def make_apple_toolchain(sdk, abi):
    major, clang, folder = TOOLS
    simulator = "-simulator" if "simulator" in abi else ""
    arch = abi.rpartition("-")[2]

    def tool(name, path):
        return type(make_tool(name))(name=name, path=Path(path), version=f"version {major}.1.0")

    return make_toolchain(
        target=parse_target(abi),
        cc=tool("clang", clang),
        cxx=tool("clang++", clang.replace("clang", "clang++")),
        linker=tool("ld64.lld", folder / "ld64.lld"),
        archiver=tool("llvm-libtool-darwin", folder / "llvm-libtool-darwin"),
        strip=tool("llvm-strip", folder / "llvm-strip"),
        ninja=tool("ninja", shutil.which("ninja") or pytest.skip("needs ninja")),
        system_flags=(f"--target={arch}-apple-ios14.0{simulator}", "-isysroot", str(sdk)),
        link_flags=("-fuse-ld=lld",),
        bitcode=Bitcode.BESIDE,
        frameworks=("-framework", "Accelerate", "-Wl,-dead_strip_dylibs"),
    )


def weigh_image(data):
    """Returns the bytes of an image that go with what is in it.

    Its file grows by pages: those of segments, and in the table of unwinding. So sections count,
    with the entries of that table, and the segment of symbols.
    """
    sections = [s for s in read_macho(data).sections if s.kind not in ZERO_FILL]
    tables = [s for s in sections if s.name == "__unwind_info"]
    entries = sum(entry.size for table in tables for entry in parse_unwind_info(table.content))
    rest = sum(s.size for s in sections if s.name != "__unwind_info")
    (size,) = struct.unpack_from("<Q", data, data.index(b"__LINKEDIT\0") + 40)
    return entries + rest + size
