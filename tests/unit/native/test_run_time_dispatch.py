from __future__ import annotations

import pytest

from builder.core.backends import Dispatch
from builder.native.generated import GeneratedCode, group_pieces, read_pieces
from builder.native.run_time_dispatch import add_branch, ask_at_run_time, parse_call

TORCHGEN = """\
namespace at { namespace _ops {

static C10_NOINLINE c10::TypedOperatorHandle<view::schema> create_view_typed_handle() {
  return c10::Dispatcher::singleton().findSchemaOrThrow(view::name, view::overload_name);
}

at::Tensor view::call(const at::Tensor & self, c10::SymIntArrayRef size) {
    return at::cpu::view_symint(self, size);
}

at::Tensor view::redispatch(c10::DispatchKeySet dispatchKeySet, const at::Tensor & self) {
    static auto op = create_view_typed_handle();
    return op.redispatch(dispatchKeySet, self);
}

at::Tensor clone::call(const at::Tensor & self) {
    return at::compositeexplicitautograd::clone(self);
}
}}
"""
METAL = Dispatch(key="Metal", predicate="is_metal")
VULKAN = Dispatch(key="Vulkan", predicate="is_vulkan", kernels="at::native::vulkan::ops")
ANY = (
    "::std::any_of(tensors.begin(), tensors.end(), "
    "[](const at::Tensor& one) { return one.is_metal(); })"
)
BY_METAL = "::redispatch(c10::DispatchKeySet(c10::DispatchKey::Metal), "


def read(text: str) -> GeneratedCode:
    groups = {group.defines[0]: group for group in group_pieces(read_pieces(text))}
    names = {name: id_ for id_, group in groups.items() for name in group.defines}
    return GeneratedCode(groups=groups, defined_in=names)


def test_a_call_that_metal_has_a_kernel_for_asks_the_tensor_first():
    code = ask_at_run_time(read(TORCHGEN), {"view": (METAL,)})
    (piece,) = code.groups["at::_ops::view::call"].pieces
    assert piece.text.splitlines()[1:] == [
        "    if (self.is_metal()) {",
        f"        return at::_ops::view{BY_METAL}self, size);",
        "    }",
        "    return at::cpu::view_symint(self, size);",
        "}",
    ]


def test_what_the_branch_calls_is_compiled_with_it():
    before, after = read(TORCHGEN), ask_at_run_time(read(TORCHGEN), {"view": (METAL,)})
    assert before.cut(["at::_ops::view::call"]).groups == {"at::_ops::view::call"}
    cut = after.cut(["at::_ops::view::call"])
    assert "at::_ops::view::redispatch" in cut.groups
    assert "create_view_typed_handle" in cut.text


def test_a_call_looks_for_the_tensors_of_each_backend():
    both = (METAL, Dispatch(key="Vulkan", predicate="is_vulkan"))
    code = ask_at_run_time(read(TORCHGEN), {"view": both})
    (piece,) = code.groups["at::_ops::view::call"].pieces
    assert piece.text.count("at::_ops::view::redispatch(") == 2
    assert "if (self.is_metal()) {" in piece.text
    assert "if (self.is_vulkan()) {" in piece.text
    assert piece.text.endswith("    }\n    return at::cpu::view_symint(self, size);\n}")


def test_other_calls_stay_bound():
    before = read(TORCHGEN)
    after = ask_at_run_time(before, {"view": (METAL,)})
    assert after.groups["at::_ops::clone::call"] == before.groups["at::_ops::clone::call"]
    assert ask_at_run_time(before, {}) is before


@pytest.mark.parametrize(
    ("signature", "condition", "arguments"),
    [
        (
            "at::Tensor & add__Tensor::call(at::Tensor & self, const at::Tensor & other)",
            "self.is_metal() || other.is_metal()",
            "self, other",
        ),
        (
            "at::Tensor cat::call(const at::ITensorListRef & tensors, int64_t dim)",
            ANY,
            "tensors, dim",
        ),
        (
            "at::Tensor empty_strided::call(c10::SymIntArrayRef size, "
            "::std::optional<at::ScalarType> dtype, ::std::optional<at::Device> device)",
            "(device.has_value() && device->is_metal())",
            "size, dtype, device",
        ),
        (
            "at::Tensor stack::call(at::TensorList tensors, int64_t dim)",
            ANY,
            "tensors, dim",
        ),
        (
            "at::Tensor conv1d::call(const at::Tensor & input, "
            "const ::std::optional<at::Tensor> & bias)",
            "input.is_metal() || (bias.has_value() && bias->is_metal())",
            "input, bias",
        ),
        (
            "::std::vector<at::Tensor> chunk::call(const at::Tensor & self, "
            "::std::optional<at::ArrayRef<double>> factors)",
            "self.is_metal()",
            "self, factors",
        ),
    ],
)
def test_tensors_lists_of_them_and_devices_are_asked(signature, condition, arguments):
    text = add_branch(f"{signature} {{\n    return x();\n}}", METAL)
    assert f"    if ({condition}) {{\n" in text
    assert f"{BY_METAL}{arguments});" in text
    assert text.startswith(f"{signature} {{\n    if")


@pytest.mark.parametrize(
    "text", ["static int f() {\n}", "at::Tensor full::call(int64_t size) {\n    return x();\n}"]
)
def test_what_cannot_be_of_metals_is_refused(text):
    with pytest.raises(ValueError, match=r"not a call|no tensor"):
        add_branch(text, METAL)


def test_a_kernel_that_is_called_directly_is_declared_and_called():
    code = ask_at_run_time(read(TORCHGEN), {"view": (VULKAN,)})
    (piece,) = code.groups["at::_ops::view::call"].pieces
    assert piece.text.splitlines()[1:] == [
        "    if (self.is_vulkan()) {",
        "        at::Tensor view_vulkan(const at::Tensor & self, c10::SymIntArrayRef size);",
        "        return view_vulkan(self, size);",
        "    }",
        "    return at::cpu::view_symint(self, size);",
        "}",
    ]
    # It needs no dispatcher, so nothing but the call is compiled.
    assert code.cut(["at::_ops::view::call"]).groups == {"at::_ops::view::call"}


def test_the_head_of_a_call_is_read_whole():
    text = (
        "::std::tuple<at::Tensor,at::Tensor> max::call(const at::Tensor & self, "
        "::std::array<bool,2> mask) {\n    return x();\n}"
    )
    call = parse_call(text)
    assert (call.struct, call.result) == ("max", "::std::tuple<at::Tensor,at::Tensor>")
    assert call.parameters == (("const at::Tensor &", "self"), ("::std::array<bool,2>", "mask"))
    assert call.declare_kernel(VULKAN) == (
        "::std::tuple<at::Tensor,at::Tensor> max_vulkan(const at::Tensor & self, "
        "::std::array<bool,2> mask)"
    )
