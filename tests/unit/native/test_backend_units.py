"""What the backends of a build add to upstream's units."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_graph, make_toolchain, make_unit

from builder.core.backends import Backend, Chosen, Dispatch, LocatedBackend
from builder.core.plan import VulkanPrecision
from builder.core.sources import SourceTree
from builder.core.targets import parse_target
from builder.core.toolchain import Bitcode
from builder.native.backend_units import add_backends, find_root_units
from builder.native.ninja import CompileFolder, render_ninja
from builder.sources.releases import load_release

PYTORCH = SourceTree(root=Path("/pytorch"), version="2.6.0", digest="d" * 64)
SPECTRAL = "aten/src/ATen/native/mkl/SpectralOps.cpp"
GRAPH = make_graph(
    make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-DC10_MOBILE", "-Os", "-fPIC")),
    SPECTRAL,
    "c10/core/Device.cpp",
)
BACKENDS = load_release().backends
METAL, COREML = BACKENDS["metal"], BACKENDS["coreml"]
BACKEND = "torch/csrc/jit/backends/coreml/objc/PTMCoreMLBackend.mm"
CONTEXT = "aten/src/ATen/native/metal/MetalContext.mm"
GUARD = "aten/src/ATen/native/metal/MetalGuardImpl.cpp"
VISION = Backend(
    name="vision",
    label="Vision",
    chosen=Chosen.NEEDED,
    sources="vision",
    units={"CPU": ("vision/*.cpp", "vision/cpu/*.cpp"), "QuantizedCPU": ("vision/q/*.cpp",)},
    pytorch_includes=("torch/api",),
)
FFT = Backend(
    name="fft",
    label="FFT",
    chosen=Chosen.NEEDED,
    sources="fft",
    includes=("fft",),
    needed_by=(SPECTRAL,),
)

GPU = Backend(
    name="gpu",
    label="GPU",
    chosen=Chosen.NEEDED,
    sources="memory",
    includes=("third_party/memory",),
    units_of_pytorch=True,
    units={"any": ("aten/gpu/ops/Add.cpp", "aten/gpu/Guard.cpp")},
    shaders="aten/gpu/glsl",
    dispatch=Dispatch(key="Gpu", predicate="is_gpu", kernels="at::gpu"),
)


@pytest.fixture
def locate(tmp_path):
    for name in ("nms.cpp", "cpu/nms.cpp", "q/nms.cpp", "cuda/nms.cu", "cuda/nms.cpp"):
        path = tmp_path / "vision" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    own = SourceTree(root=tmp_path, version="2.6.0", digest="d" * 64)
    return lambda one: LocatedBackend(backend=one, tree=own if one.sources else PYTORCH)


def add(*located, dispatch=("CPU",), level=None, made=Path("/made"), **options):
    return add_backends(
        GRAPH,
        located,
        dispatch,
        pytorch=PYTORCH.root,
        made=made,
        runtime=Path("/runtime"),
        level=level,
        **options,
    )


def test_without_any_the_units_are_upstreams(locate):
    assert add() == GRAPH
    assert add(*(locate(load_release().backends[name]) for name in ("qnnpack", "xnnpack"))) == GRAPH


def test_units_of_the_chosen_dispatch_are_compiled_like_a_mobile_unit(locate, tmp_path):
    added = add(locate(VISION)).units
    assert set(added) - set(GRAPH.units) == {"vision/nms.cpp", "vision/cpu/nms.cpp"}
    unit = added["vision/cpu/nms.cpp"]
    assert unit.flags == ("-DC10_MOBILE", "-fPIC", "-O2", "-I/pytorch/torch/api")
    assert unit.source == str(tmp_path / "vision/cpu/nms.cpp")
    assert (unit.library, unit.language) == ("vision", "CXX")


def test_with_quantised_dispatch_there_are_quantised_kernels(locate):
    assert "vision/q/nms.cpp" in add(locate(VISION), dispatch=("CPU", "QuantizedCPU")).units


def test_a_profile_can_choose_the_level_of_kernels(locate):
    for backend, unit in ((VISION, "vision/nms.cpp"), (METAL, CONTEXT)):
        flags = add(locate(backend), level="-O1").units[unit].flags
        assert "-O1" in flags
        assert "-O2" not in flags


def test_headers_come_first_where_they_are_needed_and_nowhere_else(locate, tmp_path):
    added = add(locate(FFT)).units
    assert added[SPECTRAL].flags == (f"-I{tmp_path}/fft", *GRAPH.units[SPECTRAL].flags)
    assert added["c10/core/Device.cpp"] is GRAPH.units["c10/core/Device.cpp"]


def test_objective_c_counts_references_by_itself_but_where_upstream_counts(locate):
    units = add(locate(METAL), locate(COREML)).units
    assert units[CONTEXT].flags == (
        *("-DC10_MOBILE", "-fPIC", "-O2", "-DUSE_PYTORCH_METAL"),
        *("-I/pytorch/torch/csrc/api/include", "-fobjc-arc"),
    )
    assert units[BACKEND].flags[-1] == "-fno-objc-arc"
    assert "-DUSE_COREML_DELEGATE" in units[BACKEND].flags
    assert {units[CONTEXT].language, units[BACKEND].language} == {"OBJCXX"}
    assert units[GUARD].language == "CXX"
    assert not any("objc" in flag for flag in units[GUARD].flags)
    assert units[CONTEXT].source == f"/pytorch/{CONTEXT}"


def test_roots_are_found_by_the_backend_they_belong_to(locate):
    graph = add(locate(METAL), locate(COREML), locate(VISION))
    for backend in (METAL, COREML):
        assert set(find_root_units(graph, backend)) == set(backend.units["any"])
    assert find_root_units(graph, COREML)[BACKEND] == PYTORCH.root / BACKEND
    assert find_root_units(graph, VISION) == {}


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


def test_a_backend_with_headers_of_its_own_can_have_units_of_pytorchs(locate, tmp_path):
    calls = tmp_path / "made/kernels/aten/gpu/ops/Add.cpp"
    calls.parent.mkdir(parents=True)
    calls.touch()
    units = add(locate(GPU), made=tmp_path / "made").units
    assert units["aten/gpu/Guard.cpp"].source == "/pytorch/aten/gpu/Guard.cpp"
    # What stands for a file of kernels has the id of the file.
    assert units["aten/gpu/ops/Add.cpp"].source == str(calls)
    shaders = units["generated/shaders/shaders.cpp"]
    assert shaders.source == str(tmp_path / "made/shaders/shaders.cpp")
    assert shaders.library == "gpu"
    assert {
        f"-I{tmp_path}/third_party/memory",
        f"-I{tmp_path}/made/shaders",
        "-I/runtime",
    } <= set(shaders.flags)


def test_half_precision_is_for_backends_with_shaders(locate, tmp_path):
    half = {"made": tmp_path / "made", "precision": VulkanPrecision.FP16}
    units = add(locate(GPU), locate(VISION), **half).units
    defined = {unit.id for unit in units.values() if "-DUSE_VULKAN_FP16_INFERENCE" in unit.flags}
    assert defined == {unit.id for unit in units.values() if unit.library == "gpu"}
    plain = add(locate(GPU), made=tmp_path / "made").units
    assert not any("-DUSE_VULKAN_FP16_INFERENCE" in unit.flags for unit in plain.values())
