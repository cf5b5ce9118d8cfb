"""The host's own LLVM, for this machine and for Linux on other CPU architectures."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

from builder.core.targets import Platform, Target
from builder.core.toolchain import GnuLibraries, Tool, Toolchain
from builder.errors import Hint, Install, Run, ToolchainError
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.clang import (
    INSTALL_COMPILERS,
    find_bitcode,
    find_link_failure,
    locate_clang,
    locate_clang_plus,
    locate_linker,
    locate_strip,
)
from builder.toolchains.tools import find_major, locate_build_tools

# The C++ library is linked in, so a runtime needs only glibc of the system that it runs on.
LINK_FLAGS = ("-static-libgcc", "-static-libstdc++", "-Wl,--hash-style=gnu")
# Debian's names of the triples, by which clang finds the cross packages.
_TRIPLES = {"armv7l": "arm-linux-gnueabihf"}
"""Where it is not `<architecture>-linux-gnu`."""
_RELR_SINCE = (2, 36)
"""The first glibc that reads packed relative relocations."""
_RELR_MARK_SINCE = 15
"""The first release of lld that sets the mark without which glibc refuses them."""
_PROBE = """\
#include <string>
#include <features.h>
#if __has_include(<gnu/libc-version.h>)
std::string probed() { return "probed"; }
#endif
// what the headers decide: __GLIBCXX__ __GLIBC__ __GLIBC_MINOR__
const long long version[] = {__GLIBCXX__, __GLIBC__, __GLIBC_MINOR__};
"""
_IN_SYSROOT = (
    "install the headers and libraries for C and C++ in that system, on Debian and Ubuntu "
    "libc6-dev and libstdc++-<release>-dev; links in it have to be relative, as `symlinks -cr DIR` "
    "makes them"
)
_HEADER = re.compile(r'^# \d+ "(/[^"]+)" 1\b', re.MULTILINE)
"""Where the preprocessor begins to read a header."""


def locate_host_toolchain(
    runner: Runner,
    target: Target,
    *,
    cc: str | None = None,
    cxx: str | None = None,
    sysroot: Path | None = None,
) -> Toolchain:
    """Finds and tries the compilers for this machine, or for Linux on another CPU architecture.

    For another architecture, clang needs its glibc and libstdc++ from Debian's cross packages.

    Without `cc` the newest clang is taken, one with an lld of its own release before others.

    Args:
        runner: its PATH is searched.
        target: any Linux.
        cc: C compiler by name or path (CC); has to be clang.
        cxx: C++ compiler (CXX); derived from `cc` when not given.
        sysroot: the root folder of the system whose C and C++ library are taken; this machine's
            when None.

    Raises:
        ToolchainError: something is missing or does not work, or this is no Linux machine.
    """
    refuse_foreign_host(target)
    sysroot = sysroot.resolve() if sysroot else None
    system_flags = describe_system(target, sysroot)
    compiler = locate_clang(runner, cc)
    # Bitcode of a newer clang is not read by an older lld.
    linker = locate_linker(runner, find_major(compiler.version))
    plus = locate_clang_plus(runner, compiler, cxx)
    libraries, headers = probe_compiler(runner, plus, linker, target, sysroot)
    return Toolchain(
        target=target,
        cc=compiler,
        # The fingerprint is made of versions, so the libraries stand in the version of the
        # compiler.
        cxx=Tool(name=plus.name, path=plus.path, version=f"{plus.version}, {libraries}"),
        linker=linker,
        strip=locate_strip(runner, find_major(compiler.version)),
        **locate_build_tools(runner),
        gnu=libraries,
        system_flags=system_flags,
        sysroot=sysroot,
        link_flags=LINK_FLAGS,
        bitcode=find_bitcode(runner, compiler, linker, flags=system_flags),
        packed_relocations=pack_relocations(libraries, linker),
        configuration=describe_to_cmake(target, sysroot),
        headers=headers,
    )


def find_host_target(targets: tuple[Target, ...]) -> Target | None:
    """Returns the one of `targets` that is this machine, or None."""
    if sys.platform != "linux":
        return None
    wanted = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return next(
        (t for t in targets if t.platform is Platform.LINUX and t.architecture == wanted), None
    )


def refuse_foreign_host(target: Target) -> None:
    """Raises ToolchainError unless this is a Linux machine."""
    if sys.platform != "linux":
        raise ToolchainError(
            f"building for {target} on {sys.platform} is not supported yet",
            hint=Hint("run builder on Linux, or see what can be built here: ", Run("doctor")),
        )


def is_foreign(target: Target) -> bool:
    """Returns whether `target` has another CPU architecture than this machine."""
    return find_host_target((target,)) is None


def triple(target: Target) -> str:
    """Returns the target triple, e.g. `aarch64-linux-gnu`."""
    return _TRIPLES.get(target.architecture, f"{target.architecture}-linux-gnu")


def describe_system(target: Target, sysroot: Path | None = None) -> tuple[str, ...]:
    """Returns the flags that make clang compile for `target`; none for this machine."""
    foreign = (f"--target={triple(target)}",) if is_foreign(target) else ()
    return (*foreign, *((f"--sysroot={sysroot}",) if sysroot else ()))


def describe_to_cmake(target: Target, sysroot: Path | None = None) -> tuple[tuple[str, str], ...]:
    """Returns the CMake variables for `target` (cmake-toolchains(7)).

    None for this machine, unless it is aarch64: by that name PyTorch's CMakeLists.txt wants SLEEF,
    which is not among the pinned sources; `arm64` is the same architecture for everything else.
    """
    root = (("CMAKE_SYSROOT", str(sysroot)),) if sysroot else ()
    # CMake then finds out by itself what this machine is.
    if not is_foreign(target) and target.architecture != "aarch64":
        return root
    name = {"aarch64": "arm64"}.get(target.architecture, target.architecture)
    searched = ("LIBRARY", "INCLUDE", "PACKAGE")
    return (
        *root,
        ("CMAKE_SYSTEM_NAME", "Linux"),
        ("CMAKE_SYSTEM_PROCESSOR", name),
        *((f"CMAKE_{lang}_COMPILER_TARGET", triple(target)) for lang in ("C", "CXX", "ASM")),
        # CMake links small programs to try the compiler, and the system's own linker may know one
        # CPU only.
        ("CMAKE_EXE_LINKER_FLAGS", "-fuse-ld=lld"),
        ("CMAKE_SHARED_LINKER_FLAGS", "-fuse-ld=lld"),
        ("CMAKE_FIND_ROOT_PATH", str(sysroot or f"/usr/{triple(target)}")),
        # Programs that a build runs are those of this machine; libraries are the target's.
        ("CMAKE_FIND_ROOT_PATH_MODE_PROGRAM", "NEVER"),
        *((f"CMAKE_FIND_ROOT_PATH_MODE_{what}", "ONLY") for what in searched),
    )


def probe_compiler(
    runner: Runner, compiler: Tool, linker: Tool, target: Target, sysroot: Path | None = None
) -> tuple[GnuLibraries, tuple[Path, ...]]:
    """Compiles and links a small C++ library; returns the versions of its system libraries.

    They belong to the fingerprint: their headers are compiled into every object. The headers that
    the versions were read from are returned too.

    Raises:
        ToolchainError: it does not work, with what the compiler says.
    """
    with scratch_folder() as folder:
        source = folder / "probe.cpp"
        source.write_text(_PROBE)
        clang = (str(compiler.path), *describe_system(target, sysroot), "-std=c++17")
        linked = ("-fPIC", "-shared", "-static-libstdc++", f"--ld-path={linker.path}")
        said = find_link_failure(runner, (*clang, *linked), source)
        if said is not None:
            raise ToolchainError(
                f"{compiler.path} cannot build a C++ library for {target}"
                + (f" with the system in {sysroot}" if sysroot else "")
                + f"\n{said}",
                hint=_IN_SYSROOT if sysroot else _suggest_library(runner, compiler, target),
            )
        # The preprocessor tells the versions without running a program of another CPU.
        expanded = runner.run((*clang, "-E", str(source))).output
    headers = sorted(set(_HEADER.findall(expanded)))
    return parse_library_versions(expanded), tuple(map(Path, headers))


def parse_library_versions(preprocessed: str) -> GnuLibraries:
    """Returns the versions in the expanded probe; ToolchainError for another C or C++ library."""
    found = re.search(r"version\[\] = \{(\d+), (\d+), (\d+)\}", preprocessed)
    if not found:
        raise ToolchainError(
            "the C++ library is not libstdc++, or the C library is not glibc",
            hint=INSTALL_COMPILERS,
        )
    return GnuLibraries(libstdcxx=int(found[1]), glibc=(int(found[2]), int(found[3])))


def pack_relocations(libraries: GnuLibraries, linker: Tool) -> tuple[str, ...]:
    """Returns the flags that pack relative relocations (DT_RELR), where the C library reads them.

    glibc refuses them without a mark that the linker sets (GLIBC_ABI_DT_RELR).
    """
    fits = libraries.glibc >= _RELR_SINCE and find_major(linker.version) >= _RELR_MARK_SINCE
    return ("-Wl,-z,pack-relative-relocs",) if fits else ()


def _suggest_library(runner: Runner, compiler: Tool, target: Target) -> str:
    """Returns the package that holds the C++ library clang looks for (a common gap)."""
    if is_foreign(target):
        # Debian writes a hyphen, where the triple has an underscore.
        return Install(f"g++-{triple(target)}".replace("x86_64", "x86-64"))
    # clang takes the newest GCC that it finds, also one whose C++ headers are not installed.
    said = runner.run((str(compiler.path), "-v"))
    chosen = re.search(r"^Selected GCC installation: .*/(\d+)", said.output, re.MULTILINE)
    return Install(f"libstdc++-{chosen[1]}-dev") if chosen else INSTALL_COMPILERS
