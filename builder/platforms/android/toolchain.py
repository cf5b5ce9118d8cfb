"""Compilers for Android: the NDK's own."""

from __future__ import annotations

from pathlib import Path

from builder.core.targets import Target
from builder.core.toolchain import CxxLibrary, Ndk, Stl, Tool, Toolchain, ToolchainOptions
from builder.errors import ConfigurationError, Hint, ToolchainError, Use
from builder.platforms.android.ndk import AndroidFacts, load_facts, load_table, locate_ndk
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.clang import find_bitcode, find_link_failure
from builder.toolchains.tools import find_tool, locate_build_tools

_PROBE = """\
#include <jni.h>
#include <stdexcept>
#include <string>
std::string probed(JNIEnv*) { throw std::runtime_error("probed"); }
"""
_STL = {CxxLibrary.LIBCXX: "c++_static", CxxLibrary.LIBCXX_SHARED: "c++_shared"}
"""The NDK's names."""


def locate_ndk_toolchain(runner: Runner, target: Target, options: ToolchainOptions) -> Toolchain:
    """Finds the NDK and tries its compilers for `target`.

    Args:
        runner: its environment says where the NDK is.
        target: an ABI of Android with its oldest API level.
        options: which NDK, which C++ library, what page size.

    Raises:
        ConfigurationError: a page size that is not a power of two.
        ToolchainError: there is no NDK, it does not know the API level, or it does not work.
    """
    ndk = locate_ndk(runner, options.ndk)
    _refuse_api(ndk, target.min_os)
    # An NDK has no libraries of some levels; the next older ones stand for them.
    facts = load_facts(target.abi, target.min_os, ndk.libraries_of(target.min_os))
    library = CxxLibrary.LIBCXX_SHARED if options.stl is Stl.SHARED else CxxLibrary.LIBCXX
    page_size = _check_page_size(options.page_size or facts.page_size)
    static = () if options.stl is Stl.SHARED else ("-static-libstdc++",)
    clang, linker = _locate(runner, ndk, "clang"), _locate(runner, ndk, "ld.lld")
    system_flags = (f"--target={facts.triple}", "-faddrsig")
    toolchain = Toolchain(
        target=target,
        cc=clang,
        cxx=_locate(runner, ndk, "clang++"),
        linker=linker,
        strip=_locate(runner, ndk, "llvm-strip"),
        **locate_build_tools(runner),
        system_flags=system_flags,
        link_flags=(
            *static,
            f"-Wl,--hash-style={facts.hash_style}",
            # 16 KB pages: https://developer.android.com/guide/practices/page-sizes.
            f"-Wl,-z,max-page-size={page_size}",
            # JNI code writes to Android's log; a library that nothing uses is dropped
            # (--as-needed).
            *("-llog", "-landroid"),
        ),
        # The NDK's release numbers do not tell, so the tools are tried.
        bitcode=find_bitcode(runner, clang, linker, flags=system_flags),
        packed_relocations=facts.pack,
        cxx_library=library,
        page_size=page_size,
        beside=_list_libraries(ndk, facts) if options.stl is Stl.SHARED else (),
        ndk=ndk,
        configuration=(
            ("CMAKE_TOOLCHAIN_FILE", str(ndk.root / "build/cmake/android.toolchain.cmake")),
            ("ANDROID_ABI", target.abi),
            ("ANDROID_PLATFORM", f"android-{target.min_os}"),
            ("ANDROID_STL", _STL[library]),
        ),
    )
    _probe(runner, toolchain, ndk)
    return toolchain


def _refuse_api(ndk: Ndk, api: int) -> None:
    if not ndk.oldest_api <= api <= ndk.newest_api:
        raise ToolchainError(
            f"NDK {ndk.version} builds for API levels {ndk.oldest_api} to {ndk.newest_api}, "
            f"not {api}",
            hint=Hint(
                *("choose another with ", Use("targets.min_api")),
                f", or another NDK: {load_table().install}",
            ),
        )


def _check_page_size(page_size: int) -> int:
    # x & (x - 1) is zero only for powers of two.
    if page_size < 4096 or page_size & (page_size - 1):
        raise ConfigurationError(
            f"{page_size} is not a page size that Android can have",
            hint="4096, 16384 and 65536 are in use",
        )
    return page_size


def _locate(runner: Runner, ndk: Ndk, name: str) -> Tool:
    tool = find_tool(runner, str(ndk.compilers / "bin" / name))
    if tool is None:
        raise ToolchainError(
            f"NDK {ndk.version} in {ndk.root} has no {name} that runs",
            hint=load_table().install,
        )
    return Tool(name=name, path=tool.path, version=f"{tool.version}, NDK {ndk.version}")


def _list_libraries(ndk: Ndk, facts: AndroidFacts) -> tuple[Path, ...]:
    library = ndk.compilers / "sysroot/usr/lib" / facts.libraries / "libc++_shared.so"
    if not library.is_file():
        raise ToolchainError(
            f"NDK {ndk.version} in {ndk.root} has no {library.name}",
            hint=Hint("link the C++ library in: ", Use("tools.stl", "c++_static")),
        )
    return (library,)


def _probe(runner: Runner, toolchain: Toolchain, ndk: Ndk) -> None:
    """Links a small library that throws, as the runtime does."""
    clang = (str(toolchain.cxx.path), *toolchain.system_flags, "-std=c++17", "-fPIC")
    linked = ("-shared", "-fuse-ld=lld", *toolchain.link_flags)
    with scratch_folder() as folder:
        source = folder / "probe.cpp"
        source.write_text(_PROBE)
        said = find_link_failure(runner, (*clang, *linked), source)
    if said is not None:
        raise ToolchainError(
            f"NDK {ndk.version} in {ndk.root} cannot build a C++ library for "
            f"{toolchain.target.id}\n{said}",
            hint=load_table().install,
        )
