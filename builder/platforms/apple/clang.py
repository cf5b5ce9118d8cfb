"""Compilers for Apple's platforms: clang and lld under Linux, Xcode's under macOS."""

from __future__ import annotations

from pathlib import Path

from builder.core.targets import Target, format_os_version
from builder.core.toolchain import AppleSdk, Bitcode, CxxLibrary, LinkerKind, Tool, Toolchain
from builder.errors import ToolchainError
from builder.platforms.apple.facts import AppleFacts, load_facts, load_table
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.clang import find_link_failure, locate_clang, locate_clang_plus
from builder.toolchains.tools import find_major, find_tool, locate_build_tools

FRAMEWORKS = ("-framework", "Accelerate", "-Wl,-dead_strip_dylibs")
"""What PyTorch may call beyond the system's C and C++ libraries."""
_OLDEST_CLANG = 16
"""The oldest that has been tried; 19 is what the tests run."""
_PROBE = """\
#include <TargetConditionals.h>
#include <stdexcept>
#include <string>
#if !TARGET_OS_IOS || TARGET_OS_SIMULATOR != {simulator}
#error "the headers take this for another platform"
#endif
__attribute__((visibility("default"))) void probed(std::string s) {{ throw std::runtime_error(s); }}
"""


def locate_apple_toolchain(
    runner: Runner,
    target: Target,
    sdk: AppleSdk,
    *,
    cmake_file: Path,
    cc: str | None = None,
    cxx: str | None = None,
) -> Toolchain:
    """Finds clang, lld and LLVM's tools for Mach-O, and tries them for `target`.

    Args:
        runner: its PATH is searched.
        target: an ABI of Apple's with its deployment target.
        sdk: what to compile against.
        cmake_file: builder's `cmake/apple/ios.cmake`.
        cc: C compiler by name or path (CC); has to be clang.
        cxx: C++ compiler (CXX); derived from `cc` when not given.

    Raises:
        ToolchainError: a tool is missing or too old, or they do not work together.
    """
    facts = load_facts(target)
    tools = locate_llvm(runner, target, cc=cc, cxx=cxx)
    plus, linker = tools["cxx"], tools["linker"]
    toolchain = Toolchain(
        target=target,
        cc=tools["cc"],
        # Headers of the SDK are compiled into every object, so its name belongs to the fingerprint.
        cxx=Tool(name=plus.name, path=plus.path, version=f"{plus.version}, {sdk.name}"),
        linker=linker,
        strip=tools["strip"],
        archiver=tools["archiver"],
        **locate_build_tools(runner),
        system_flags=describe_system(facts, sdk),
        link_flags=("-fuse-ld=lld",),
        bitcode=Bitcode.BESIDE,  # clang writes no objects for Mach-O that hold both
        frameworks=FRAMEWORKS,
        cxx_library=CxxLibrary.SYSTEM,
        sdk=sdk,
        configuration=describe_to_cmake(facts, sdk, linker, cmake_file),
    )
    probe(runner, toolchain, facts)
    return toolchain


def locate_llvm(
    runner: Runner, target: Target, *, cc: str | None = None, cxx: str | None = None
) -> dict[str, Tool]:
    """Finds clang, lld and LLVM's tools for Mach-O, which are there or not whatever the SDK is.

    Args:
        runner: its PATH is searched.
        target: an ABI of Apple's.
        cc: as for `locate_apple_toolchain`.
        cxx: as for `locate_apple_toolchain`.

    Returns:
        The tools by their fields in `Toolchain`.

    Raises:
        ToolchainError: a tool is missing or too old.
    """
    compiler = locate_clang(runner, cc)
    major = find_major(compiler.version)
    if major < _OLDEST_CLANG:
        raise ToolchainError(
            f"{target} needs clang {_OLDEST_CLANG} or newer, and {compiler.path} is "
            f"{compiler.version!r}",
            hint=load_table().install,
        )
    return {
        "cc": compiler,
        "cxx": locate_clang_plus(runner, compiler, cxx),
        "linker": _locate(runner, compiler, major, "ld64.lld"),
        "strip": _locate(runner, compiler, major, "llvm-strip"),
        "archiver": _locate(runner, compiler, major, "llvm-libtool-darwin"),
    }


def describe_system(facts: AppleFacts, sdk: AppleSdk, *, own: bool = True) -> tuple[str, ...]:
    """Returns the flags that make clang compile for a platform of Apple's.

    Args:
        facts: of the target.
        sdk: what to compile against.
        own: whether clang is of LLVM and not Xcode's: it would take a C++ library's headers from
            beside itself before the SDK's.
    """
    found: tuple[str, ...] = (f"--target={facts.triple}", "-isysroot", str(sdk.root))
    if own:
        found += ("-nostdinc++", "-isystem", str(sdk.root / "usr/include/c++/v1"))
    if sdk.is_open:  # its headers leave both names to the compiler
        found += ("-D_LIBCPP_ABI_VERSION=1", "-D_LIBCPP_ABI_NAMESPACE=__1")
    return found


def describe_to_cmake(
    facts: AppleFacts, sdk: AppleSdk, linker: Tool | None, cmake_file: Path
) -> tuple[tuple[str, str], ...]:
    """Returns the CMake variables for `facts`; without `linker`, Xcode's tools are CMake's own."""
    system = describe_system(facts, sdk, own=linker is not None)
    # CMake adds the sysroot itself, from CMAKE_OSX_SYSROOT.
    flags = [flag for flag in system if flag not in {"-isysroot", str(sdk.root)}]
    tools: tuple[tuple[str, str], ...] = ()
    if linker is not None:
        tools = (
            ("TORCHLITE_LINKER", f"-fuse-ld=lld --ld-path={linker.path}"),
            ("TORCHLITE_TOOLS", str(linker.path.resolve().parent)),
        )
    return (
        ("CMAKE_TOOLCHAIN_FILE", str(cmake_file)),
        ("CMAKE_OSX_SYSROOT", str(sdk.root)),
        ("CMAKE_OSX_DEPLOYMENT_TARGET", ""),
        # Without it, XNNPACK and cpuinfo configure no units for ARM.
        ("CMAKE_OSX_ARCHITECTURES", facts.arch),
        ("IOS_ARCH", facts.arch),
        ("TORCHLITE_FLAGS", " ".join(flags)),
        *tools,
    )


def _locate(runner: Runner, compiler: Tool, major: int, name: str) -> Tool:
    """Returns a tool of LLVM of the compiler's release: LTO's bitcode is not for others."""
    # Distributions link only some of LLVM's tools into the PATH.
    beside = compiler.path.resolve().parent / name
    for candidate in (f"{name}-{major}", name, str(beside)):
        tool = find_tool(runner, candidate)
        if tool is not None and find_major(tool.version) == major:
            return Tool(name=name, path=tool.path, version=tool.version)
    raise ToolchainError(
        f"there is no {name} of LLVM {major}, the release of {compiler.path}",
        hint=load_table().install,
    )


def probe(runner: Runner, toolchain: Toolchain, facts: AppleFacts) -> None:
    """Links a small library that throws, as the runtime does; ToolchainError where that fails."""
    simulator = int(facts.sdk == "iphonesimulator")
    clang = (str(toolchain.cxx.path), *toolchain.system_flags, "-std=c++17")
    is_lld = toolchain.linker_kind is LinkerKind.LLD
    chosen = (f"--ld-path={toolchain.linker.path}",) if is_lld else ()
    linked = ("-dynamiclib", *toolchain.link_flags, *chosen)
    with scratch_folder() as folder:
        source = folder / "probe.cpp"
        source.write_text(_PROBE.format(simulator=simulator))
        said = find_link_failure(runner, (*clang, *linked), source)
    if said is not None:
        sdk = toolchain.sdk.name if toolchain.sdk else ""
        version = format_os_version(toolchain.target.min_os)
        raise ToolchainError(
            f"{toolchain.cxx.path} cannot build a C++ library for {toolchain.target} {version} "
            f"with {sdk}\n{said}",
            hint=load_table().install,
        )
