"""Finds what a backend with shaders needs: glslc, of the NDK or the distribution, and headers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from builder.core.backends import Backend
from builder.core.toolchain import Ndk, Tool, Toolchain
from builder.errors import Install, ToolchainError
from builder.system.process import Runner
from builder.toolchains.tools import find_tool

INSTALL_GLSLC = Install("glslc")
INSTALL_HEADERS = Install("libvulkan-dev")
_NAME = "glslc"
_HEADER = "vulkan/vulkan.h"
_VERSION = re.compile(r"^#define VK_HEADER_VERSION (?P<number>\d+)$", re.MULTILINE)


def find_glslc(runner: Runner, ndk: Ndk | None = None) -> Tool | None:
    """Returns glslc with the versions of all that it consists of; None where there is none.

    Args:
        runner: its PATH is searched.
        ndk: whose glslc is taken where it has one that runs.
    """
    names = [_NAME]
    if ndk:
        names.insert(0, str(ndk.root / "shader-tools" / ndk.compilers.name / _NAME))
    found = next((tool for name in names if (tool := find_tool(runner, name))), None)
    if found is None:
        return None
    # Each of its libraries decides bytes: shaderc, spirv-tools and glslang have a line each.
    printed = runner.run((str(found.path), "--version")).output.split("\n\n")[0]
    return Tool(name=_NAME, path=found.path, version=", ".join(printed.split("\n")))


def find_headers(runner: Runner, compiler: tuple[str, ...]) -> str | None:
    """Returns the version of Vulkan's headers (`VK_HEADER_VERSION`); None where there are none.

    Args:
        runner: starts the compiler.
        compiler: for C++, with the flags of its target.
    """
    said = runner.run((*compiler, "-E", "-dM", "-include", _HEADER, "-x", "c++", "/dev/null"))
    found = _VERSION.search(said.output)
    return found["number"] if found and said.returncode == 0 else None


def with_shader_compiler(
    toolchain: Toolchain, backends: Iterable[Backend], runner: Runner
) -> Toolchain:
    """Returns `toolchain` with a compiler of shaders and headers where a backend has shaders.

    Raises:
        ToolchainError: one of them is missing.
    """
    needing = [one for one in backends if one.shaders]
    if not needing:
        return toolchain
    label = needing[0].label
    compiler = find_glslc(runner, toolchain.ndk)
    if compiler is None:
        raise ToolchainError(
            f"{label} needs {_NAME}, which compiles its shaders: it is not on PATH"
            + (f", and NDK {toolchain.ndk.version} has none that runs" if toolchain.ndk else ""),
            hint=INSTALL_GLSLC,
        )
    headers = find_headers(runner, (str(toolchain.cxx.path), *toolchain.system_flags))
    if headers is None:
        raise ToolchainError(
            f"{label} needs the header {_HEADER}, and {toolchain.cxx.path} does not find it",
            hint=INSTALL_HEADERS,
        )
    return dataclasses.replace(toolchain, shader_compiler=compiler, shader_headers=headers)
