"""Units of Apple's accelerators: how they are compiled, and that the tree has no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_graph, make_toolchain, make_unit

from builder import api
from builder.core.accelerators import Accelerator
from builder.core.targets import parse_target
from builder.core.toolchain import Bitcode
from builder.native.accelerators import (
    add_accelerators,
    find_accelerator_units,
    load_accelerator_sources,
)
from builder.native.ninja import CompileFolder, render_ninja

PYTORCH = Path("/pytorch")
GRAPH = make_graph(
    make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-DC10_MOBILE", "-Oz", "-w")),
    "c10/core/Device.cpp",
)
SOURCES = load_accelerator_sources()
BACKEND = "torch/csrc/jit/backends/coreml/objc/PTMCoreMLBackend.mm"
CONTEXT = "aten/src/ATen/native/metal/MetalContext.mm"
GUARD = "aten/src/ATen/native/metal/MetalGuardImpl.cpp"
FOLDERS = {
    Accelerator.METAL: "aten/src/ATen/native/metal",
    Accelerator.COREML: "torch/csrc/jit/backends/coreml",
}


def test_without_any_the_units_are_upstreams():
    assert add_accelerators(GRAPH, (), pytorch=PYTORCH).units == GRAPH.units


def test_objective_c_counts_references_by_itself_but_where_upstream_counts():
    units = add_accelerators(GRAPH, Accelerator, pytorch=PYTORCH).units
    assert units[CONTEXT].flags == (
        *("-DC10_MOBILE", "-w", "-O2", "-DUSE_PYTORCH_METAL"),
        *("-I/pytorch/torch/csrc/api/include", "-fobjc-arc"),
    )
    assert units[BACKEND].flags[-1] == "-fno-objc-arc"
    assert "-DUSE_COREML_DELEGATE" in units[BACKEND].flags
    assert {units[CONTEXT].language, units[BACKEND].language} == {"OBJCXX"}
    assert units[GUARD].language == "CXX"
    assert not any("objc" in flag for flag in units[GUARD].flags)
    assert units[CONTEXT].source == f"/pytorch/{CONTEXT}"


def test_a_profile_can_choose_the_level():
    units = add_accelerators(GRAPH, (Accelerator.METAL,), pytorch=PYTORCH, level="-O1").units
    assert "-O1" in units[CONTEXT].flags
    assert "-O2" not in units[CONTEXT].flags


def test_units_are_found_by_the_accelerator_they_belong_to():
    graph = add_accelerators(GRAPH, Accelerator, pytorch=PYTORCH)
    found = find_accelerator_units(graph, (Accelerator.COREML,))
    assert set(found) == set(SOURCES[Accelerator.COREML].units)
    assert found[BACKEND] == PYTORCH / BACKEND
    assert find_accelerator_units(graph, ()) == {}


@pytest.mark.parametrize(("abi", "known"), [("ios-arm64", True), ("linux-x86_64", False)])
def test_ninja_compiles_objective_c_for_apples_systems_only(abi, known):
    unit = make_unit(CONTEXT, language="OBJCXX", flags=("-flto=full",))
    folder = CompileFolder(root=Path("/c"), ninja_file=Path("b"), objects="objects", prefixes=())
    toolchain = make_toolchain(target=parse_target(abi), bitcode=Bitcode.BESIDE)
    text = render_ninja([unit] if known else [], toolchain, folder)
    assert ("rule OBJCXX" in text) is known
    if known:
        assert f"build objects/{CONTEXT}.o: OBJCXX_BITCODE /src/{CONTEXT}" in text
        assert text.split("rule OBJCXX_BITCODE")[1].count("-x ir -c $out.bc") == 1


@pytest.mark.parametrize("accelerator", Accelerator)
def test_every_source_of_the_tree_is_a_unit_or_left_out_with_a_reason(accelerator):
    tree = api.find_sources()
    if tree is None:
        pytest.skip("the sources are not fetched")
    sources, folder = SOURCES[accelerator], tree.root / FOLDERS[accelerator]
    there = {
        path.relative_to(tree.root).as_posix()
        for path in folder.rglob("*")
        if path.suffix in {".mm", ".cpp"}
    }
    assert there == {*sources.units, *sources.left_out}
    assert not set(sources.units) & set(sources.left_out)
    assert all(sources.left_out.values())
    assert set(sources.manual) <= set(sources.units)
    assert all((tree.root / include).is_dir() for include in sources.includes)


def test_upstreams_lists_are_read_as_they_are_written():
    """What the data was made from; another version of PyTorch may list others."""
    tree = api.find_sources()
    if tree is None:
        pytest.skip("the sources are not fetched")
    aten = (tree.root / "aten/src/ATen/CMakeLists.txt").read_text()
    caffe2 = (tree.root / "caffe2/CMakeLists.txt").read_text()
    script = (tree.root / "scripts/build_ios.sh").read_text()
    assert 'GLOB_RECURSE native_metal_srcs "native/metal/*.mm" "native/metal/*.cpp"' in aten
    assert 'GLOB metal_test_srcs "native/metal/mpscnn/tests/*.mm"' in aten
    core_ml = SOURCES[Accelerator.COREML]
    assert all(f"/{unit.partition('/')[2]}" in caffe2 for unit in core_ml.units)
    assert caffe2.count('COMPILE_FLAGS "-fno-objc-arc"') == len(core_ml.manual) == 1
    assert "-fobjc-arc" in script


def test_shaders_are_text_that_the_device_compiles():
    tree = api.find_sources()
    if tree is None:
        pytest.skip("the sources are not fetched")
    assert not list((tree.root / FOLDERS[Accelerator.METAL]).rglob("*.metal"))
    assert "newLibraryWithSource" in (tree.root / CONTEXT).read_text()
