from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import FakeRunner, make_patch, make_toolchain

from builder.core.plan import VulkanPrecision
from builder.core.sources import SourceTree
from builder.core.toolchain import Tool
from builder.errors import SourceError
from builder.native.shaders import compile_shaders, render_shaders, write_shaders
from builder.system.process import Completed

# As tools/gen_vulkan_spv.py writes it.
SHADER = """\
    api::shader_registry().register_shader(
      api::ShaderInfo(
         "{name}",
         {name}_bin,
         8,
         {{VK_DESCRIPTOR_TYPE_STORAGE_IMAGE,
          VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER}},
         std::vector<uint32_t>(),
         api::StorageType::UNKNOWN,
         api::StorageType::UNKNOWN));
"""
CODE = """\
const uint32_t {name}_bin[] = {{
  119734787,
  65536
}};
"""


def make_text(*names):
    codes = "".join(CODE.format(name=name) for name in names)
    return codes + "".join(SHADER.format(name=name) for name in names)


def test_each_shader_is_a_function_beside_its_code_in_order_of_names():
    header, unit = render_shaders(make_text("conv2d", "add"))
    assert "\nconst api::ShaderInfo& add();\nconst api::ShaderInfo& conv2d();\n" in header
    assert "register_shader" not in unit
    assert unit.index("add_bin[] = {") < unit.index("const api::ShaderInfo& add() {")
    assert unit.index("const api::ShaderInfo& add() {") < unit.index("conv2d_bin[]")
    assert 'static const api::ShaderInfo info(\n         "conv2d",\n         conv2d_bin,' in unit
    assert render_shaders(make_text("add", "conv2d")) == (header, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        make_text("add").replace("api::ShaderInfo(", "api::ShaderInfos("),
        make_text("add", "mul").replace("uint32_t mul_bin", "uint64_t mul_bin"),
        make_text("add") + "api::shader_registry().register_shader(other);",
    ],
)
def test_text_in_another_form_is_refused(text):
    with pytest.raises(SourceError, match="builder can read"):
        render_shaders(text)


def test_the_tool_of_the_sources_compiles_them(tmp_path):
    given_texts = []

    def answer(command):
        shaders, output = (
            Path(command[command.index(option) + 1]) for option in ("--glsl-paths", "--output-path")
        )
        given_texts.append((shaders / "add.glsl").read_text())
        (output / "spv.cpp").write_text(make_text("add"))
        return Completed(0, "")

    runner = FakeRunner(answer=answer)
    glslc = Tool(name="glslc", path=tmp_path / "glslc", version="shaderc 2023.2")
    tree = SourceTree(root=tmp_path / "tree", version="2.6.0", digest="d" * 64)
    (tree.root / "glsl").mkdir(parents=True)
    (tree.root / "glsl/add.glsl").write_text("x - y\n")
    toolchain = replace(make_toolchain(), shader_compiler=glslc)
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    text = "--- a/glsl/add.glsl\n+++ b/glsl/add.glsl\n@@ -1 +1 @@\n-x - y\n+x + y\n"
    log = tmp_path / "log"
    given = {"precision": VulkanPrecision.FP16, "runner": runner, "log": log}
    compile_shaders(compiled, tree, toolchain, "glsl", patches=[make_patch(text)], **given)
    assert runner.commands[-1][-2:] == ("--env", "FLOAT_IMAGE_FORMAT=rgba16f")
    assert given_texts == ["x + y\n"]
    assert (tree.root / "glsl/add.glsl").read_text() == "x - y\n"
    write_shaders(compiled, tmp_path / "made")
    assert "add()" in (tmp_path / "made/shaders/torchlite_shaders.h").read_text()
    assert "add_bin" in (tmp_path / "made/shaders/shaders.cpp").read_text()
    with pytest.raises(ValueError, match="compiler of shaders"):
        compile_shaders(compiled, tree, make_toolchain(), "glsl", **given)
