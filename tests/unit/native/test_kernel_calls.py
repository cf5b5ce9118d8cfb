from __future__ import annotations

import pytest

from builder.core.backends import Dispatch
from builder.errors import SourceError
from builder.native.generated import GeneratedCode, group_pieces, read_pieces
from builder.native.kernel_calls import render_kernel_calls, write_kernel_calls

UNIT = "aten/src/ATen/native/vulkan/ops/Shape.cpp"
SOURCE = """\
TORCH_LIBRARY_IMPL(aten, Vulkan, m) {
  m.impl(TORCH_SELECTIVE_NAME("aten::view"), TORCH_FN(at::native::vulkan::ops::view));
  m.impl("add_.Tensor", add_in_place);
  m.impl(TORCH_SELECTIVE_NAME("aten::hardshrink_"), TORCH_FN(hardshrink_));
}
TORCH_LIBRARY_IMPL(vulkan_prepack, Vulkan, m) {
  m.impl(TORCH_SELECTIVE_NAME("vulkan_prepack::run"), TORCH_FN(run));
}
"""
TORCHGEN = """\
namespace at { namespace _ops {
at::Tensor view::call(const at::Tensor & self, c10::SymIntArrayRef size) {
    return at::cpu::view_symint(self, size);
}
at::Tensor & add__Tensor::call(at::Tensor & self, const at::Tensor & other) {
    return at::cpu::add_(self, other);
}
}}
"""
VULKAN = Dispatch(
    key="Vulkan",
    predicate="is_vulkan",
    kernels="at::native::vulkan::ops",
    undeclared=("aten::hardshrink_",),
)


@pytest.fixture
def code():
    groups = {group.defines[0]: group for group in group_pieces(read_pieces(TORCHGEN))}
    return GeneratedCode(groups=groups, defined_in={name: name for name in groups})


def test_each_kernel_gets_a_function_with_the_signature_of_its_operator(code):
    lines = render_kernel_calls(UNIT, SOURCE, code, VULKAN).splitlines()
    assert lines[2:] == [
        '#include "kernel_calls.h"',
        "#include <ATen/native/vulkan/ops/Shape.cpp>",
        "",
        "namespace at::_ops {",
        "",
        "at::Tensor view_vulkan(const at::Tensor & self, c10::SymIntArrayRef size) {",
        "  return torchlite::with_elements("
        "at::native::vulkan::ops::view(self, torchlite::plain(size)));",
        "}",
        "",
        "at::Tensor & add__Tensor_vulkan(at::Tensor & self, const at::Tensor & other) {",
        "  return torchlite::with_elements(at::native::vulkan::ops::add_in_place(self, other));",
        "}",
        "",
        "} // namespace at::_ops",
    ]


def test_a_file_without_kernels_needs_no_unit(code, tmp_path):
    (tmp_path / "Copy.cpp").write_text("int main() {}")
    assert render_kernel_calls(UNIT, "int main() {}", code, VULKAN) == ""
    write_kernel_calls(tmp_path / "out", code, VULKAN, {UNIT: tmp_path / "Copy.cpp"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SOURCE.replace("add_.Tensor", "add_.Tensors"), "a kernel is for aten::add_.Tensors"),
        (SOURCE.replace("add_in_place", "[] {}"), "3 of 4 registrations"),
    ],
)
def test_a_kernel_that_is_misread_is_refused(code, tmp_path, source, said):
    path = tmp_path / "Shape.cpp"
    path.write_text(source)
    with pytest.raises(SourceError, match=said):
        write_kernel_calls(tmp_path / "out", code, VULKAN, {UNIT: path})


def test_units_are_written_by_the_path_of_their_file(code, tmp_path):
    path = tmp_path / "Shape.cpp"
    path.write_text(SOURCE)
    write_kernel_calls(tmp_path / "out", code, VULKAN, {UNIT: path})
    assert (tmp_path / "out/kernels" / UNIT).read_text() == (
        render_kernel_calls(UNIT, SOURCE, code, VULKAN)
    )
