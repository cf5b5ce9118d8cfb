from __future__ import annotations

import pytest

from builder import api
from builder.core.cxx_source import read_registrations
from builder.core.operators import Operator
from builder.sources.releases import load_release

SOURCE = """\
// m.impl("old", TORCH_FN(old));
TORCH_LIBRARY_IMPL(aten, Vulkan, m) {
  m.impl(TORCH_SELECTIVE_NAME("aten::add.Tensor"), TORCH_FN(add_tensor));
  m.impl(
      TORCH_SELECTIVE_NAME("aten::hardtanh_"), hardtanh_);
  m.impl("_softmax", TORCH_FN(ops::softmax)); /* m.impl( */
  m.impl("convolution_overrideable", convolution);
}
TORCH_LIBRARY_IMPL(vulkan_prepack, CPU, m) {
  m.impl(TORCH_SELECTIVE_NAME("vulkan_prepack::create_linear_context"), TORCH_FN(create));
}
"""


def test_each_form_of_a_registration_is_read():
    found = read_registrations(SOURCE)
    assert [(str(one.operator), one.key, one.function) for one in found] == [
        ("aten::add.Tensor", "Vulkan", "add_tensor"),
        ("aten::hardtanh_", "Vulkan", "hardtanh_"),
        ("aten::_softmax", "Vulkan", "ops::softmax"),
        ("aten::convolution_overrideable", "Vulkan", "convolution"),
        ("vulkan_prepack::create_linear_context", "CPU", "create"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        'm.impl("relu", torch::dispatch(c10::kVulkan, relu));',
        "m.impl(name, TORCH_FN(relu));",
        'm.impl("relu", [](const at::Tensor& x) { return x; });',
    ],
)
def test_a_registration_in_another_form_is_refused(line):
    text = SOURCE.replace('  m.impl("conv', f'  {line}\n  m.impl("conv')
    with pytest.raises(ValueError, match="5 of 6 registrations"):
        read_registrations(text)


def test_a_registration_outside_of_a_library_is_refused():
    with pytest.raises(ValueError, match="0 of 1"):
        read_registrations('m.impl("relu", TORCH_FN(relu));')


def test_all_kernels_of_vulkan_are_read():
    tree = api.find_sources(load_release())
    if tree is None:
        pytest.skip("the sources are not fetched")
    files = sorted((tree.root / "aten/src/ATen/native/vulkan").rglob("*.cpp"))
    found = [one for path in files for one in read_registrations(path.read_text())]
    kernels = [one for one in found if one.operator.namespace == "aten"]
    assert len(kernels) == 117
    assert {one.key for one in kernels} == {"Vulkan"}
    assert Operator("aten::_log_softmax") in {one.operator for one in kernels}
    assert len(found) == 117 + 26
