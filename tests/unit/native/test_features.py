from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_graph, make_unit

from builder.core.features import Feature, LocatedFeature
from builder.core.sources import SourceTree
from builder.native.features import add_features

PYTORCH = Path("/pytorch")
SPECTRAL = "aten/src/ATen/native/mkl/SpectralOps.cpp"
GRAPH = make_graph(
    make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-DC10_MOBILE", "-Os", "-fPIC")),
    SPECTRAL,
    "c10/core/Device.cpp",
)
VISION = Feature(
    name="vision",
    operators=("vision::",),
    units={"CPU": ("vision/*.cpp", "vision/cpu/*.cpp"), "QuantizedCPU": ("vision/q/*.cpp",)},
    pytorch_includes=("torch/api",),
)
FFT = Feature(
    name="fft", operators=("aten::fft_",), units={}, includes=("fft",), needed_by=(SPECTRAL,)
)


@pytest.fixture
def locate(tmp_path):
    for name in ("nms.cpp", "cpu/nms.cpp", "q/nms.cpp", "cuda/nms.cu", "cuda/nms.cpp"):
        path = tmp_path / "vision" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    tree = SourceTree(root=tmp_path, version="2.6.0", digest="d" * 64)
    return lambda feature: LocatedFeature(feature=feature, tree=tree)


def test_units_of_the_chosen_backends_are_compiled_like_a_mobile_unit(locate, tmp_path):
    added = add_features(GRAPH, [locate(VISION)], ("CPU",), pytorch=PYTORCH).units
    assert set(added) - set(GRAPH.units) == {"vision/nms.cpp", "vision/cpu/nms.cpp"}
    unit = added["vision/cpu/nms.cpp"]
    assert unit.flags == ("-DC10_MOBILE", "-fPIC", "-O2", "-I/pytorch/torch/api")
    assert unit.source == str(tmp_path / "vision/cpu/nms.cpp")
    assert unit.library == "vision"


def test_a_profile_can_choose_the_level_of_kernels(locate):
    added = add_features(GRAPH, [locate(VISION)], ("CPU",), pytorch=PYTORCH, level="-O1").units
    assert "-O1" in added["vision/nms.cpp"].flags
    assert "-O2" not in added["vision/nms.cpp"].flags


def test_with_quantised_dispatch_there_are_quantised_kernels(locate):
    added = add_features(GRAPH, [locate(VISION)], ("CPU", "QuantizedCPU"), pytorch=PYTORCH)
    assert "vision/q/nms.cpp" in added.units


def test_headers_come_first_where_they_are_needed_and_nowhere_else(locate, tmp_path):
    added = add_features(GRAPH, [locate(FFT)], ("CPU",), pytorch=PYTORCH).units
    assert added[SPECTRAL].flags == (f"-I{tmp_path}/fft", *GRAPH.units[SPECTRAL].flags)
    assert added["c10/core/Device.cpp"] is GRAPH.units["c10/core/Device.cpp"]


def test_without_features_nothing_changes():
    assert add_features(GRAPH, [], ("CPU",), pytorch=PYTORCH) == GRAPH
