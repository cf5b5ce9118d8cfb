from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import FakeRunner, make_toolchain

from builder.core.toolchain import Ndk
from builder.errors import ToolchainError
from builder.sources.releases import load_release
from builder.system.process import Completed
from builder.toolchains.shader_compiler import (
    INSTALL_GLSLC,
    INSTALL_HEADERS,
    find_glslc,
    with_shader_compiler,
)

VERSION = "shaderc 2023.2-1\nspirv-tools 2022.4\nglslang 11.13.0-1\n\nTarget: SPIR-V 1.0\n"
NDK = Ndk(
    root=Path("/ndk"),
    compilers=Path("/ndk/toolchains/llvm/prebuilt/linux-x86_64"),
    revision=(22, 0, 1),
    oldest_api=16,
    newest_api=30,
)
OF_NDK = "/ndk/shader-tools/linux-x86_64/glslc"
VULKAN = load_release().backends["vulkan"]


class Machine(FakeRunner):
    """Finds the programs that its environment names."""

    def find_program(self, name):
        return Path(self.environment[name]) if name in self.environment else None


HEADERS = Completed(0, "#define VK_HEADER 1\n#define VK_HEADER_VERSION 239\n")


def machine(headers=HEADERS, **programs):
    def answer(command):
        return headers if "-dM" in command else Completed(0, VERSION)

    return Machine(answer=answer, environment=programs)


def test_the_ndks_comes_before_the_distributions():
    both = machine(glslc="/usr/bin/glslc", **{OF_NDK: OF_NDK})
    assert find_glslc(both, NDK).path == Path(OF_NDK)
    assert find_glslc(both).path == Path("/usr/bin/glslc")
    assert find_glslc(machine(glslc="/usr/bin/glslc"), NDK).path == Path("/usr/bin/glslc")
    assert find_glslc(machine()) is None


def test_all_of_its_parts_are_in_the_fingerprint_of_builds_with_shaders_only():
    toolchain, runner = make_toolchain(), machine(glslc="/usr/bin/glslc")
    assert with_shader_compiler(toolchain, (), runner) is toolchain
    found = with_shader_compiler(toolchain, (VULKAN,), runner)
    assert set(found.fingerprint) - set(toolchain.fingerprint) == {
        "shaderc 2023.2-1, spirv-tools 2022.4, glslang 11.13.0-1",
        "Vulkan headers 239",
    }


@pytest.mark.parametrize(("ndk", "said"), [(None, "it is not on PATH"), (NDK, "NDK 22.0.1 has")])
def test_without_one_the_next_command_is_said(ndk, said):
    toolchain = replace(make_toolchain(), ndk=ndk)
    with pytest.raises(ToolchainError, match=said) as caught:
        with_shader_compiler(toolchain, (VULKAN,), machine())
    assert caught.value.hint == INSTALL_GLSLC


@pytest.mark.parametrize(
    "said", [Completed(1, "fatal error: 'vulkan/vulkan.h' file not found"), Completed(0, "")]
)
def test_without_headers_the_next_command_is_said(said):
    runner = machine(headers=said, glslc="/usr/bin/glslc")
    with pytest.raises(ToolchainError, match="needs the header") as caught:
        with_shader_compiler(make_toolchain(), (VULKAN,), runner)
    assert caught.value.hint == INSTALL_HEADERS
