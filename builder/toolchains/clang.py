"""Finds clang, and a linker and a strip program of the same release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.core.toolchain import LTO_COMPILE, LTO_LINK, ArchiveTools, Bitcode, Tool
from builder.errors import Install, ToolchainError
from builder.formats.elf import MAGIC
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.tools import find_major, find_tool, parse_version

CLANG_MAJORS = range(21, 13, -1)
"""Suffixes of clang in distributions, newest first; 14 is the oldest release that was tested."""
_LTO_TRIED_SINCE = 14
"""The oldest release whose link-time optimisation was tested."""
_FAT_OBJECTS_SINCE = 17
"""https://releases.llvm.org/17.0.1/tools/clang/docs/ReleaseNotes.html."""
_SHOWN_LINES = 10
"""Lines of a compiler's output that an error shows."""
INSTALL_COMPILERS = Install("clang", "lld", "g++")
"""The package g++ contains the C++ library that clang uses on Linux."""


def locate_clang(runner: Runner, cc: str | None) -> Tool:
    """Returns the C compiler: `cc`, or the newest clang on PATH.

    Raises:
        ToolchainError: there is no clang, or `cc` is not clang.
    """
    if cc:
        tool = find_tool(runner, cc)
        if tool is None:
            raise ToolchainError(
                f"the compiler CC={cc} cannot be run", hint="unset CC, or name an installed clang"
            )
        # GCC prints no such words.
        if "clang version" not in tool.version:
            raise ToolchainError(
                f"CC={cc} is {tool.version!r}, but only clang is supported",
                hint=f"unset CC CXX; {INSTALL_COMPILERS}",
            )
        return tool
    # Distributions install releases side by side, with the number in the name.
    names = ("clang", *(f"clang-{major}" for major in CLANG_MAJORS))
    compilers = [tool for name in names if (tool := find_tool(runner, name)) is not None]
    if not compilers:
        raise ToolchainError("there is no clang on PATH", hint=INSTALL_COMPILERS)
    # A compiler with a linker of its own release is preferred to a newer one without.
    matched = {major for major in CLANG_MAJORS if _find_linkers(runner, major)}
    return max(
        compilers, key=lambda t: (find_major(t.version) in matched, parse_version(t.version))
    )


def locate_clang_plus(runner: Runner, compiler: Tool, cxx: str | None) -> Tool:
    """Returns `cxx`, or the C++ compiler next to `compiler`; its version must be the same."""
    name = cxx or str(compiler.path.with_name(compiler.path.name.replace("clang", "clang++", 1)))
    tool = find_tool(runner, name)
    if tool is None:
        raise ToolchainError(f"there is no C++ compiler {name}", hint=INSTALL_COMPILERS)
    # C and C++ units are linked and optimised together, so their bitcode has to match.
    if tool.version != compiler.version:
        raise ToolchainError(
            f"{tool.path} is {tool.version!r}, but {compiler.path} is {compiler.version!r}",
            hint="set CC and CXX to the same release of clang, or unset both",
        )
    return tool


def locate_linker(runner: Runner, major: int) -> Tool:
    """Returns lld of release `major`, or the newest lld when that release is missing.

    Raises:
        ToolchainError: there is no lld.
    """
    linkers = _find_linkers(runner, major) or [
        tool for other in (0, *CLANG_MAJORS) for tool in _find_linkers(runner, other, exact=False)
    ]
    if not linkers:
        raise ToolchainError("there is no lld on PATH", hint=Install("lld"))
    return max(linkers, key=lambda tool: parse_version(tool.version))


def locate_strip(runner: Runner, major: int) -> Tool:
    """Returns llvm-strip of release `major`, or GNU strip when that is missing.

    Raises:
        ToolchainError: there is neither of them.
    """
    for name in (f"llvm-strip-{major}", "llvm-strip", "strip"):
        tool = find_tool(runner, name)
        if tool and (name == "strip" or find_major(tool.version) == major):
            return tool
    raise ToolchainError("there is no strip on PATH", hint=Install("binutils"))


def locate_archive_tools(runner: Runner, major: int) -> ArchiveTools:
    """Returns llvm-objcopy and llvm-ar of release `major`.

    Raises:
        ToolchainError: one of them is missing.
    """

    def locate(name: str) -> Tool:
        for candidate in (f"{name}-{major}", name):
            tool = find_tool(runner, candidate)
            if tool and find_major(tool.version) == major:
                return tool
        # GNU's objcopy keeps the groups whose names it makes local.
        raise ToolchainError(
            f"there is no {name} of release {major} on PATH, which a static library needs",
            hint=Install(f"llvm-{major}"),
        )

    return ArchiveTools(objcopy=locate("llvm-objcopy"), archiver=locate("llvm-ar"))


def find_bitcode(
    runner: Runner, compiler: Tool, linker: Tool, *, flags: Sequence[str] = ()
) -> Bitcode:
    """Returns where bitcode for link-time optimisation can be stored with these tools.

    Whether an object can contain bitcode is tested by a compilation, because the release number
    does not tell it: clang in NDK r26 reports release 17, but was made before release 17 was
    finished. Older releases accept the option without effect, for compatibility with GCC.

    Args:
        runner: runs the tools.
        compiler: the C compiler.
        linker: lld.
        flags: flags that the compiler needs for the target.
    """
    major = find_major(compiler.version)
    if major < _LTO_TRIED_SINCE:
        return Bitcode.NONE
    if major < _FAT_OBJECTS_SINCE:
        return Bitcode.BESIDE
    with scratch_folder() as name:
        runner = runner.with_environment(TMPDIR=str(name))
        # First whether an object has machine code too, then whether the linker takes the bitcode.
        source, compiled = name / "probe.c", name / "probe.o"
        source.write_text("int probed(void) { return 1; }\n")
        clang, inside = (str(compiler.path), *flags, "-fPIC"), Bitcode.INSIDE
        runner.run((*clang, *LTO_COMPILE[inside], "-c", str(source), "-o", str(compiled)))
        if not compiled.is_file() or not compiled.read_bytes().startswith(MAGIC):
            return Bitcode.BESIDE
        merging = (*LTO_LINK[inside], f"--ld-path={linker.path}")
        linked = ("-shared", "-nostdlib", *merging, str(compiled), "-o", f"{name}/probe.so")
        completed = runner.run((*clang, *linked))
    return Bitcode.BESIDE if completed.returncode else Bitcode.INSIDE


def find_link_failure(runner: Runner, command: tuple[str, ...], source: Path) -> str | None:
    """Returns the last lines that a compiler prints when it cannot link `source`; None if it can.

    Args:
        runner: runs it.
        command: the compiler with its flags, without the files.
        source: C++ in a scratch folder, where the library and temporary files are written too.
    """
    library = source.with_suffix(".so")
    runner = runner.with_environment(TMPDIR=str(source.parent))
    completed = runner.run((*command, str(source), "-o", str(library)))
    if completed.returncode == 0:
        return None
    return "\n".join(f"  | {line}" for line in completed.output.splitlines()[-_SHOWN_LINES:])


def _find_linkers(runner: Runner, major: int, *, exact: bool = True) -> list[Tool]:
    def candidates() -> Iterator[Tool | None]:
        yield find_tool(runner, "ld.lld")
        yield find_tool(runner, f"ld.lld-{major}")

    return [
        tool
        for tool in candidates()
        if tool and "LLD" in tool.version and (not exact or find_major(tool.version) == major)
    ]
