"""The list of Vulkan's kernels, beside the sources that it speaks of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder import api
from builder.core.vulkan import VulkanKernels
from builder.errors import ConfigurationError
from builder.sources.releases import load_release
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan

KERNELS, SCHEMAS = load_vulkan(), load_schemas()
_REGISTRATION = re.compile(
    r'm\.impl\(\s*(?:TORCH_SELECTIVE_NAME\()?"(?:aten::)?(?P<name>[\w.:]+)"', re.ASCII
)
_UNNAMED = {
    # Upstream writes the name of the operator with its default overload.
    "aten::dequantize": "aten::dequantize.self",
}


def test_it_lists_the_kernels_that_the_sources_register():
    tree = api.find_sources(load_release(), "")
    if tree is None:
        pytest.skip("the sources are not fetched")
    folder = tree.root / "aten/src/ATen/native/vulkan/ops"
    found: set[str] = set()
    for path in sorted(folder.glob("*.cpp")):
        if path.name != "Register.cpp":
            text = path.read_text(encoding="utf-8")
            names = [match["name"] for match in _REGISTRATION.finditer(text)]
            assert len(names) == text.count("m.impl("), path.name
            found |= {f"aten::{name}" for name in names}
    listed = {name for name in KERNELS.kernels if name.startswith("aten::")}
    assert {_UNNAMED.get(name, name) for name in found} == listed
    # `Register.cpp` has the packed layers; those that models do not get are left out.
    packed = {name for name in KERNELS.kernels if not name.startswith("aten::")}
    register = (folder / "Register.cpp").read_text(encoding="utf-8")
    assert all(f'"{name}"' in register for name in packed)


def test_composites_are_such_in_the_sources():
    tree = api.find_sources(load_release(), "")
    if tree is None:
        pytest.skip("the sources are not fetched")
    text = (tree.root / "aten/src/ATen/native/native_functions.yaml").read_text(encoding="utf-8")
    entries = {
        entry.partition("(")[0]: entry for entry in text.replace("\n- func: ", "\0").split("\0")[1:]
    }
    for name in KERNELS.composites:
        entry = entries[name.removeprefix("aten::")]
        dispatch = re.search(r"\n  dispatch:\n(?P<lines>(?:    .*\n)+)", entry)
        assert dispatch is None or "Composite" in dispatch["lines"], name


def test_all_names_are_those_of_schemas_and_arguments():
    for name, kernel in (*KERNELS.kernels.items(), *KERNELS.composites.items()):
        schema = SCHEMAS.find(name)
        if schema is None:
            assert kernel.refused, name
            continue
        arguments = {one.name for one in schema.arguments}
        assert {*kernel.either, *kernel.only} <= arguments, name


def test_each_operator_stands_in_one_table():
    tables = (KERNELS.kernels, KERNELS.composites, KERNELS.questions)
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))


def test_a_release_without_the_list_cannot_export_for_vulkan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("builder.sources.vulkan_kernels.locate_release", lambda version: tmp_path)
    with pytest.raises(ConfigurationError, match="cannot export for Vulkan"):
        load_vulkan("9.9.9")
    (tmp_path / "vulkan.toml").write_text("most_dimensions = 4\nquestions = []\nunknown = 1\n")
    with pytest.raises(ConfigurationError, match="unknown"):
        load_vulkan("9.9.9")


def test_what_is_read_cannot_change():
    with pytest.raises(TypeError):
        KERNELS.kernels["aten::erf"] = KERNELS.kernels["aten::exp"]  # type: ignore[index]
    assert isinstance(KERNELS, VulkanKernels)
