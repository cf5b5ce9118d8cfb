"""The files that ship with builder, beside the sources and the index that they speak of."""

from __future__ import annotations

import re

import pytest

from builder import api
from builder.core.backends import Chosen
from builder.core.sources import SourceTree
from builder.native.index import parse_index
from builder.sources.releases import load_release
from builder.system.folders import data_folder

BACKENDS = tuple(load_release().backends.values())
WITH_SOURCES = [one for one in BACKENDS if one.sources]
INDEX = load_release().indexes[""]
INDEXED = {unit for units in parse_index(INDEX.read_text()).values() for unit in units}
FOLDERS = {"metal": "aten/src/ATen/native/metal", "coreml": "torch/csrc/jit/backends/coreml"}


def by_name(backend):
    return backend.name


def find_tree(feature="") -> SourceTree:
    tree = api.find_sources(load_release(), feature)
    if tree is None:
        pytest.skip("the sources are not fetched")
    return tree


def test_every_file_is_read():
    assert list(load_release().backends) == [
        *("coreml", "metal", "nnapi", "pocketfft", "qnnpack", "torchvision", "vulkan", "xnnpack")
    ]


def test_options():
    assert {one.name for one in BACKENDS if one.chosen is Chosen.OPTION} == {"metal", "coreml"}


@pytest.mark.parametrize("backend", BACKENDS, ids=by_name)
def test_each_says_what_needs_it(backend):
    assert backend.operators or backend.classes
    assert all(start.endswith(("::", "_")) or "::" in start for start in backend.operators)
    assert not backend.absent.endswith(".")
    classes = {start.partition(".")[0] for start in backend.classes}
    operators = {start.partition("::")[0] for start in backend.operators}
    assert set(backend.units_by_class) <= classes
    assert set(backend.units_by_operator) <= operators


@pytest.mark.parametrize("backend", WITH_SOURCES, ids=by_name)
def test_optional_sources_are_in_the_lock_and_have_what_is_named(backend):
    assert backend.sources in load_release().lock.features
    assert set(backend.needed_by) <= INDEXED
    tree = find_tree(backend.sources)
    of_units = find_tree() if backend.units_of_pytorch else tree
    for pattern in (glob for globs in backend.units.values() for glob in globs):
        assert list(of_units.root.glob(pattern))
    assert all((tree.root / folder).is_dir() for folder in backend.includes)


@pytest.mark.parametrize("backend", BACKENDS, ids=by_name)
def test_its_folders_in_pytorchs_tree_exist(backend):
    assert all((find_tree().root / folder).is_dir() for folder in backend.pytorch_includes)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_source_of_the_tree_is_a_unit_or_left_out_with_a_reason(name):
    tree, backend = find_tree(), load_release().backends[name]
    there = {
        path.relative_to(tree.root).as_posix()
        for path in (tree.root / FOLDERS[name]).rglob("*")
        if path.suffix in {".mm", ".cpp"}
    }
    (units,) = backend.units.values()
    assert there == {*units, *backend.left_out}
    assert not set(units) & set(backend.left_out)
    assert all(backend.left_out.values())
    assert set(backend.without_arc) <= set(units)


def test_upstreams_lists_are_read_as_they_are_written():
    """What the data was made from; another version of PyTorch may list others."""
    tree = find_tree()
    aten = (tree.root / "aten/src/ATen/CMakeLists.txt").read_text()
    caffe2 = (tree.root / "caffe2/CMakeLists.txt").read_text()
    script = (tree.root / "scripts/build_ios.sh").read_text()
    assert 'GLOB_RECURSE native_metal_srcs "native/metal/*.mm" "native/metal/*.cpp"' in aten
    assert 'GLOB metal_test_srcs "native/metal/mpscnn/tests/*.mm"' in aten
    core_ml = load_release().backends["coreml"]
    assert all(f"/{unit.partition('/')[2]}" in caffe2 for unit in core_ml.units["any"])
    assert caffe2.count('COMPILE_FLAGS "-fno-objc-arc"') == len(core_ml.without_arc) == 1
    assert "-fobjc-arc" in script


def test_options_of_cmake_are_upstreams():
    tree = find_tree()
    files = ("CMakeLists.txt", "third_party/XNNPACK/CMakeLists.txt")
    text = "".join((tree.root / file).read_text() for file in files).replace("OPTION(", "option(")
    for backend in BACKENDS:
        assert all(f"option({name} " in text for name in backend.cmake_options)


def test_the_dispatch_key_and_the_predicate_are_pytorchs():
    tree = find_tree()
    keys = (tree.root / "c10/core/DispatchKey.h").read_text()
    classes = ("aten/src/ATen/core/TensorBase.h", "c10/core/Device.h")
    for dispatch in (one.dispatch for one in BACKENDS if one.dispatch):
        assert f"_(, {dispatch.key})" in keys or f"\n  {dispatch.key}," in keys
        for file in classes:
            assert f"bool {dispatch.predicate}() const" in (tree.root / file).read_text()


def test_shaders_are_text_that_the_device_compiles():
    tree = find_tree()
    assert not list((tree.root / FOLDERS["metal"]).rglob("*.metal"))
    context = tree.root / FOLDERS["metal"] / "MetalContext.mm"
    assert "newLibraryWithSource" in context.read_text()


def test_nnapi_takes_exactly_the_operations_that_torch_writes():
    written = (find_tree().root / "torch/backends/_nnapi/serializer.py").read_text()
    codes = written.partition("class NNAPI_OperationCode")[2].partition("class ")[0]
    numbers = dict(re.findall(r"^    (\w+) = (\d+)$", codes, re.MULTILINE))
    used = set(re.findall(r"NNAPI_OperationCode\.([A-Z0-9_]+)", written))
    taken = (data_folder("cmake") / "runtime/nnapi/model.cpp").read_text()
    listed = re.findall(r"^    \{(\d+), \w+, \w+\}, // (\w+)$", taken, re.MULTILINE)
    assert {name: code for code, name in listed} == {name: numbers[name] for name in used}
