from __future__ import annotations

import pytest

from builder.core.backends import Backend, Chosen, choose_backends, find_needed
from builder.core.operators import Operator
from builder.core.targets import Platform
from builder.models.lite_contents import LiteContents
from builder.sources.releases import load_release

CORE_ML = "__torch__.torch.classes.__backends__.coreml"
KNOWN = tuple(load_release().backends.values())
ASKED = tuple(one for one in KNOWN if one.chosen is Chosen.OPTION)


def names(backends):
    return tuple(one.name for one in backends)


@pytest.mark.parametrize(
    ("operators", "classes", "needed"),
    [
        (("aten::add.Tensor",), (), ()),
        (("aten::add.Tensor",), ("xnnpack.Conv2dOpContext",), ("xnnpack",)),
        (("prepacked::conv2d_clamp_run", "quantized::add"), (), ("qnnpack", "xnnpack")),
        ((), ("rnn.CellParamsBase",), ("qnnpack",)),
        (("metal_prepack::conv2d_run",), (), ("metal",)),
        (("metal::copy_to_host",), (), ("metal",)),
        ((), ("metal.LinearOpContext",), ("metal",)),
        (("aten::add.Tensor",), ("__backends__.coreml",), ("coreml",)),
        ((), ("__backends__.nnapi",), ()),
        (("aten::zeros",), ("_nnapi.Compilation",), ("nnapi",)),
        (("metal_prepack::linear_run",), ("__backends__.coreml",), ("coreml", "metal")),
        (("aten::fft_rfft",), (), ("pocketfft",)),
        (("aten::_fft_c2r",), (), ("pocketfft",)),
        (("aten::stft.center", "aten::istft"), (), ("pocketfft",)),
        (("torchvision::nms",), (), ("torchvision",)),
    ],
)
def test_a_model_tells_which_backends_it_needs(operators, classes, needed):
    assert names(find_needed(KNOWN, map(Operator.parse, operators), classes)) == needed


@pytest.mark.parametrize(
    ("marks", "needed"),
    [
        ((), ()),
        (("optimized_for_vulkan",), ("vulkan",)),
        (("optimized_for_metal", "optimized_for_npus"), ("metal",)),
    ],
)
def test_a_model_without_a_backends_operators_is_for_it_by_its_mark(marks, needed):
    assert names(find_needed(KNOWN, [Operator.parse("aten::relu")], (), marks)) == needed


def test_the_class_of_a_delegate_is_read_of_the_types_that_bytecode_names():
    contents = LiteContents()
    contents.add_types([CORE_ML, "Dict[str, Any]"])
    assert contents.custom_classes == {"__backends__.coreml"}


@pytest.mark.parametrize(
    ("platform", "operators", "asked", "chosen"),
    [
        (Platform.LINUX, (), (), ("qnnpack", "xnnpack")),
        (Platform.IOS, (), (), ("qnnpack", "xnnpack")),
        (Platform.LINUX, ("torchvision::nms",), (), ("qnnpack", "torchvision", "xnnpack")),
        (Platform.IOS, (), ASKED, ("coreml", "metal", "qnnpack", "xnnpack")),
        (Platform.IOS_SIMULATOR, (), ASKED[:1], ("coreml", "qnnpack", "xnnpack")),
        (Platform.LINUX, (), ASKED, ("qnnpack", "xnnpack")),
        (Platform.IOS, ("metal::copy_to_host",), (), ("qnnpack", "xnnpack")),
    ],
)
def test_a_build_has_what_every_build_has_what_is_needed_and_what_is_asked_for(
    platform, operators, asked, chosen
):
    found = choose_backends(
        KNOWN,
        operators=map(Operator.parse, operators),
        classes=(),
        platform=platform,
        asked=asked,
    )
    assert names(found) == chosen


def test_a_backend_without_starts_serves_nothing():
    alone = Backend(name="x", label="X", chosen=Chosen.NEEDED)
    assert not alone.serves(Operator.parse("aten::add"))
    assert not alone.has_class("x.Y")
    assert all(map(alone.runs_on, Platform))
