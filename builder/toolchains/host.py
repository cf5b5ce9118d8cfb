"""The host's own LLVM: clang, lld, CMake, ninja."""

from __future__ import annotations

import importlib
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from builder.core.targets import Platform, Target
from builder.core.toolchain import Tool, Toolchain
from builder.errors import BuilderError, ToolchainError
from builder.system.process import Runner

CLANG_MAJORS = range(21, 13, -1)
"""Suffixes that distributions give to clang; 14 is the oldest that has been tried."""
INSTALL_COMPILERS = "apt install clang lld g++"
"""g++ brings the C++ library that clang uses on Linux."""

_PROBE = """\
#include <string>
#include <features.h>
#if __has_include(<gnu/libc-version.h>)
std::string probed() { return "probed"; }
#endif
// what the headers decide: __GLIBCXX__ __GLIBC__ __GLIBC_MINOR__
const long long version[] = {__GLIBCXX__, __GLIBC__, __GLIBC_MINOR__};
"""


def locate_host_toolchain(
    runner: Runner, target: Target, *, cc: str | None = None, cxx: str | None = None
) -> Toolchain:
    """Finds and tries the compilers for building for this very machine.

    Without `cc` the newest clang is taken, one with an lld of its own release before others.

    Args:
        runner: its PATH is searched.
        target: must be this machine's own.
        cc: C compiler by name or path (CC); has to be clang.
        cxx: C++ compiler (CXX); derived from `cc` when not given.

    Raises:
        ToolchainError: something is missing or does not work, or `target` is another machine.
    """
    refuse_foreign_target(target)
    compiler = locate_clang(runner, cc)
    linker = locate_linker(runner, find_major(compiler.version))
    plus = locate_clang_plus(runner, compiler, cxx)
    libraries = probe_compiler(runner, plus, linker)
    return Toolchain(
        target=target,
        cc=compiler,
        cxx=Tool(name=plus.name, path=plus.path, version=f"{plus.version}, {libraries}"),
        linker=linker,
        cmake=locate_packaged_tool(runner, "cmake", "CMAKE_BIN_DIR"),
        ninja=locate_packaged_tool(runner, "ninja", "BIN_DIR"),
        strip=locate_strip(runner, find_major(compiler.version)),
        python=Tool(name="python", path=Path(sys.executable), version=platform.python_version()),
    )


def find_host_target(targets: tuple[Target, ...]) -> Target | None:
    """Returns the one of `targets` that is this machine, or None."""
    if sys.platform != "linux":
        return None
    wanted = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return next(
        (t for t in targets if t.platform is Platform.LINUX and t.architecture == wanted), None
    )


def refuse_foreign_target(target: Target) -> None:
    """Raises ToolchainError unless `target` is this machine."""
    if find_host_target((target,)) is None:
        here = f"{sys.platform}-{platform.machine()}"
        raise ToolchainError(
            f"building for {target} on {here} is not supported yet",
            hint=f"run builder on a machine that is {target}, "
            "or see which targets can be built here: builder doctor",
        )


def locate_clang(runner: Runner, cc: str | None) -> Tool:
    """Returns the C compiler: `cc`, or the newest clang on PATH.

    Raises:
        ToolchainError: there is none, or `cc` is not clang.
    """
    if cc:
        tool = find_tool(runner, cc)
        if tool is None:
            raise ToolchainError(
                f"the compiler CC={cc} cannot be run", hint="unset CC, or name an installed clang"
            )
        if "clang version" not in tool.version:
            raise ToolchainError(
                f"CC={cc} is {tool.version!r}; only clang is supported",
                hint=f"unset CC CXX; {INSTALL_COMPILERS}",
            )
        return tool
    names = ("clang", *(f"clang-{major}" for major in CLANG_MAJORS))
    found = [tool for name in names if (tool := find_tool(runner, name)) is not None]
    if not found:
        raise ToolchainError("there is no clang on PATH", hint=INSTALL_COMPILERS)
    matched = {major for major in CLANG_MAJORS if _find_linkers(runner, major)}
    return max(found, key=lambda t: (find_major(t.version) in matched, parse_version(t.version)))


def locate_clang_plus(runner: Runner, compiler: Tool, cxx: str | None) -> Tool:
    """Returns `cxx`, or the C++ twin of `compiler`; both must be of one release."""
    name = cxx or str(compiler.path.with_name(compiler.path.name.replace("clang", "clang++", 1)))
    tool = find_tool(runner, name)
    if tool is None:
        raise ToolchainError(f"there is no C++ compiler {name}", hint=INSTALL_COMPILERS)
    if tool.version != compiler.version:
        raise ToolchainError(
            f"{tool.path} is {tool.version!r}, but {compiler.path} is {compiler.version!r}",
            hint="let CC and CXX name the same release of clang, or unset both",
        )
    return tool


def locate_linker(runner: Runner, major: int) -> Tool:
    """Returns lld, of release `major` if there is one, otherwise the newest.

    Raises:
        ToolchainError: there is no lld.
    """
    found = _find_linkers(runner, major) or [
        tool for other in (0, *CLANG_MAJORS) for tool in _find_linkers(runner, other, exact=False)
    ]
    if not found:
        raise ToolchainError("there is no lld on PATH", hint="apt install lld")
    return max(found, key=lambda tool: parse_version(tool.version))


def locate_strip(runner: Runner, major: int) -> Tool:
    """Returns llvm-strip of release `major`, otherwise GNU strip.

    Raises:
        ToolchainError: there is neither.
    """
    for name in (f"llvm-strip-{major}", "llvm-strip", "strip"):
        tool = find_tool(runner, name)
        if tool and (name == "strip" or find_major(tool.version) == major):
            return tool
    raise ToolchainError("there is no strip on PATH", hint="apt install binutils")


def locate_packaged_tool(runner: Runner, name: str, attribute: str) -> Tool:
    """Returns a tool from the Python package of its name, else from PATH.

    Args:
        runner: its PATH is searched when there is no such package.
        name: of the package and of the program.
        attribute: of the package, with the folder of its programs.
    """
    candidates = [name]
    try:
        folder = getattr(importlib.import_module(name), attribute, None)
    except ImportError:
        folder = None
    if folder:
        candidates.insert(0, str(Path(str(folder)) / name))
    for candidate in candidates:
        tool = find_tool(runner, candidate)
        if tool is not None:
            return Tool(name=name, path=tool.path, version=tool.version)
    raise ToolchainError(f"there is no {name}", hint=f"pip install {name}")


def probe_compiler(runner: Runner, compiler: Tool, linker: Tool) -> str:
    """Compiles and links a small C++ library; returns the versions of its system libraries.

    They belong to the fingerprint: their headers are compiled into every object.

    Raises:
        ToolchainError: it does not work, with what the compiler says.
    """
    with tempfile.TemporaryDirectory(prefix="builder-probe-") as name:
        folder = Path(name)
        source = folder / "probe.cpp"
        source.write_text(_PROBE)
        build = (
            str(compiler.path), "-std=c++17", "-fPIC", "-shared", f"--ld-path={linker.path}",
            str(source), "-o", str(folder / "probe.so"),
        )  # fmt: skip
        completed = runner.run(build)
        if completed.returncode != 0:
            said = "\n".join(f"  | {line}" for line in completed.output.splitlines()[-10:])
            raise ToolchainError(
                f"{compiler.path} cannot build a C++ library\n{said}",
                hint=_suggest_library(runner, compiler),
            )
        expanded = runner.run((str(compiler.path), "-std=c++17", "-E", "-P", str(source)))
    return parse_library_versions(expanded.output)


def parse_library_versions(preprocessed: str) -> str:
    """Returns e.g. `libstdc++ 20220819, glibc 2.36` from the expanded probe."""
    found = re.search(r"version\[\] = \{(\d+), (\d+), (\d+)\}", preprocessed)
    if not found:
        raise ToolchainError(
            "the C++ library is neither libstdc++ nor is the C library glibc",
            hint=INSTALL_COMPILERS,
        )
    return f"libstdc++ {found[1]}, glibc {found[2]}.{found[3]}"


def find_tool(runner: Runner, name: str) -> Tool | None:
    """Returns the program with the line of its `--version` that has the version.

    None when it is not there or cannot run.
    """
    path = runner.find_program(name)
    if path is None:
        return None
    try:
        completed = runner.run((str(path), "--version"))
    except BuilderError:
        return None
    lines = completed.output.strip().splitlines()
    if completed.returncode != 0 or not lines:
        return None
    version = next((line for line in lines if parse_version(line)), lines[0])
    return Tool(name=path.name, path=path, version=version.strip())


def parse_version(text: str) -> tuple[int, ...]:
    """Returns the first dotted number in `text`, empty when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def find_major(text: str) -> int:
    """Returns the major version in `text`, 0 when there is none."""
    return (*parse_version(text), 0)[0]


def _find_linkers(runner: Runner, major: int, *, exact: bool = True) -> list[Tool]:
    def candidates() -> Iterator[Tool | None]:
        yield find_tool(runner, "ld.lld")
        yield find_tool(runner, f"ld.lld-{major}")

    return [
        tool
        for tool in candidates()
        if tool and "LLD" in tool.version and (not exact or find_major(tool.version) == major)
    ]


def _suggest_library(runner: Runner, compiler: Tool) -> str:
    """Returns the package that holds the C++ library clang looks for (a common gap)."""
    said = runner.run((str(compiler.path), "-v"))
    chosen = re.search(r"^Selected GCC installation: .*/(\d+)", said.output, re.MULTILINE)
    return f"apt install libstdc++-{chosen[1]}-dev" if chosen else INSTALL_COMPILERS
