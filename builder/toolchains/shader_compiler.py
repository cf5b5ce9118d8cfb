"""Finds glslc, which compiles the shaders of GPUs: the NDK's, or that of the distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from builder.core.backends import Backend
from builder.core.toolchain import Ndk, Tool, Toolchain
from builder.errors import ToolchainError
from builder.system.process import Runner
from builder.toolchains.tools import find_tool

INSTALL_GLSLC = "apt install glslc"
_NAME = "glslc"


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


def with_shader_compiler(
    toolchain: Toolchain, backends: Iterable[Backend], runner: Runner
) -> Toolchain:
    """Returns `toolchain` with a compiler of shaders where one of `backends` has shaders.

    Raises:
        ToolchainError: there is none.
    """
    needing = [one for one in backends if one.shaders]
    if not needing:
        return toolchain
    compiler = find_glslc(runner, toolchain.ndk)
    if compiler is None:
        raise ToolchainError(
            f"{needing[0].label} needs {_NAME}, which compiles its shaders: it is not on PATH"
            + (f", and NDK {toolchain.ndk.version} has none that runs" if toolchain.ndk else ""),
            hint=INSTALL_GLSLC,
        )
    return dataclasses.replace(toolchain, shader_compiler=compiler)
