from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.native.generated import (
    GeneratedCode,
    Group,
    Piece,
    group_pieces,
    is_cut,
    read_generated,
    read_pieces,
)

OPERATORS = """\
#include <ATen/Tensor.h>
#ifndef AT_PER_OPERATOR_HEADERS
#include <ATen/Operators.h>
#else
#include <ATen/ops/add.h>
#endif
#include <ATen/CPUFunctions.h>

namespace at { namespace _ops {

// aten::add.Tensor(Tensor self) -> Tensor
static C10_NOINLINE c10::TypedOperatorHandle<add_Tensor::schema> create_add_Tensor_typed_handle() {
  return c10::Dispatcher::singleton();
}

// aten::add.Tensor(Tensor self) -> Tensor
at::Tensor add_Tensor::call(const at::Tensor & self) {
    return at::cpu::add(self);
}

at::Tensor add_Tensor::redispatch(c10::DispatchKeySet ks, const at::Tensor & self) {
    static auto op = create_add_Tensor_typed_handle();
    return op.redispatch(ks, self);
}

::std::tuple<at::Tensor &,at::Tensor &> max_dim_max::call(int64_t dim) {
    TORCH_CHECK(false, "a brace } in a text");
}

}} // namespace at::_ops
"""
REGISTER = """\
#include <torch/library.h>
#include <c10/util/Half.h>
#include <ATen/ops/add_native.h>
// See the template
namespace at {
namespace {
C10_DIAGNOSTIC_PUSH_AND_IGNORED_IF_DEFINED("-Wunused-function")
Tensor create_out(IntArrayRef sizes) {
  return at::empty(sizes);
}
void check_inplace(const Tensor &self) {
  create_out({});
}
namespace {
at::Tensor wrapper_CPU__abs(const at::Tensor & self) {
  return at::native::abs(self);
}
} // anonymous namespace
struct structured_add_CPU_functional final : public at::native::structured_add_CPU {
    void set_output(int64_t i) override {
        outputs_[i] = create_out({});
    }
};
at::Tensor wrapper_CPU_add_Tensor(const at::Tensor & self) {
structured_add_CPU_functional op;
}
at::Tensor & wrapper_CPU_add_(at::Tensor & self) {
check_inplace(self);
}
TORCH_LIBRARY_IMPL(aten, CPU, m) {
    m.impl("abs", TORCH_FN(wrapper_CPU__abs));
}
} // anonymous namespace
namespace cpu {
at::Tensor abs(const at::Tensor & self) {
return wrapper_CPU__abs(self);
}
at::Tensor add(const at::Tensor & self) {
return wrapper_CPU_add_Tensor(self);
}
at::Tensor add(const at::Tensor & self, int) {
return wrapper_CPU_add_Tensor(self);
}
at::Tensor add_symint(const at::Tensor & self) {
return wrapper_CPU_add_Tensor(self);
}
at::Tensor & add_(at::Tensor & self) {
return wrapper_CPU_add_(self);
}
} // namespace cpu
} // namespace at
"""
HEADERS = (
    *("abs.h", "abs_ops.h", "add.h", "add_cpu_dispatch.h", "add_meta.h", "add_native.h"),
    *("add_ops.h", "addmm_ops.h", "empty.h", "max_ops.h", "padd_ops.h"),
)


@pytest.fixture
def code(tmp_path: Path) -> GeneratedCode:
    folder = tmp_path / "aten/src/ATen"
    (folder / "ops").mkdir(parents=True)
    (folder / "Operators_0.cpp").write_text(OPERATORS)
    (folder / "RegisterCPU.cpp").write_text(REGISTER)
    (folder / "RegisterSchema.cpp").write_text("namespace at {\nvoid other() {\n}\n}\n")
    for header in HEADERS:
        (folder / "ops" / header).touch()
    return read_generated(tmp_path)


def test_pieces_are_what_stands_in_the_namespaces():
    found = [(piece.qualified_name, piece.local) for piece in read_pieces(OPERATORS)]
    assert found == [
        ("at::_ops::create_add_Tensor_typed_handle", True),
        ("at::_ops::add_Tensor::call", False),
        ("at::_ops::add_Tensor::redispatch", False),
        ("at::_ops::max_dim_max::call", False),
    ]


def test_namespaces_are_left_where_they_end():
    found = {piece.name: piece.namespaces for piece in read_pieces(REGISTER)}
    assert found["create_out"] == ("at", "")
    assert found["wrapper_CPU__abs"] == ("at", "", "")
    assert found["structured_add_CPU_functional"] == ("at", "")
    assert found["add"] == ("at", "cpu")
    assert "m" not in found


def test_a_group_holds_what_shares_pieces(code):
    assert code.defined_in == {
        "at::_ops::add_Tensor::call": "at::_ops::add_Tensor::call",
        "at::_ops::add_Tensor::redispatch": "at::_ops::add_Tensor::redispatch",
        "at::_ops::max_dim_max::call": "at::_ops::max_dim_max::call",
        "at::cpu::abs": "at::cpu::abs",
        "at::cpu::add": "at::cpu::add",
        "at::cpu::add_symint": "at::cpu::add",
        "at::cpu::add_": "at::cpu::add_",
    }


def test_a_group_is_whole_and_in_order():
    (group,) = (g for g in group_pieces(read_pieces(REGISTER)) if "at::cpu::add" in g.defines)
    assert [piece.name for piece in group.pieces] == [
        *("create_out", "structured_add_CPU_functional", "wrapper_CPU_add_Tensor"),
        *("add", "add", "add_symint"),
    ]


def test_helpers_bring_their_own_helpers():
    (group,) = (g for g in group_pieces(read_pieces(REGISTER)) if "at::cpu::add_" in g.defines)
    assert [p.name for p in group.pieces][:2] == ["create_out", "check_inplace"]


def test_a_slice_follows_what_is_mentioned(code):
    cut = code.cut(["at::_ops::add_Tensor::call"])
    assert cut.groups == {"at::_ops::add_Tensor::call", "at::cpu::add"}
    assert "wrapper_CPU_add_Tensor" in cut.text
    assert "wrapper_CPU__abs" not in cut.text


def test_nothing_is_written_twice(code):
    first = code.cut(["at::cpu::add", "at::cpu::add_"])
    assert first.text.count("Tensor create_out(") == 1
    second = code.cut(["at::_ops::add_Tensor::call", "at::cpu::add"], first.groups)
    assert second.groups == {"at::_ops::add_Tensor::call"}
    assert "wrapper_CPU_add_Tensor" not in second.text


def test_a_slice_includes_the_headers_of_its_operators_only(code):
    text = code.cut(["at::_ops::add_Tensor::call"]).text
    headers = [line for line in text.splitlines() if line.startswith("#include")]
    assert headers == [
        "#include <ATen/Tensor.h>",
        "#include <c10/util/Half.h>",
        "#include <ATen/ops/add.h>",
        "#include <ATen/ops/add_cpu_dispatch.h>",
        "#include <ATen/ops/add_native.h>",
        "#include <ATen/ops/add_ops.h>",
        "#include <ATen/ops/empty.h>",
    ]


@pytest.mark.parametrize("name", ["at::_ops::__ior___Tensor", "at::compositeimplicitautograd::or"])
def test_in_place_operators_of_python_have_the_headers_of_the_others(name):
    namespace, _, function = name.rpartition("::")
    text = f"void {function}() {{ at::compositeimplicitautograd::__ior__(); }}"
    piece = Piece(namespaces=tuple(namespace.split("::")), name=function, text=text)
    code = GeneratedCode(
        groups={name: Group(pieces=(piece,))},
        defined_in={name: name},
        headers={"ior": ("ior_ops.h",), "or": ("or_ops.h",), "xor": ("xor_ops.h",)},
    )
    assert re.findall("<.*>", code.cut([name]).text) == [
        "<ATen/ops/ior_ops.h>",
        "<ATen/ops/or_ops.h>",
    ]


def test_helpers_stand_in_the_namespace_of_those_who_use_them(code):
    """Two files have helpers of one name; a slice may hold both."""
    text = code.cut(["at::cpu::add"]).text
    assert "namespace at { namespace cpu { namespace {\nTensor create_out(" in text


def test_equal_groups_give_equal_text(code):
    one = code.cut(["at::cpu::abs", "at::cpu::add"]).text
    assert one == code.cut(["at::cpu::add", "at::cpu::abs", "at::cpu::add"]).text


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("Operators_3.cpp", True),
        ("RegisterQuantizedCPU.cpp", True),
        ("RegisterCompositeExplicitAutogradNonFunctional.cpp", True),
        ("RegisterSchema.cpp", False),
        ("RegisterCompositeImplicitAutogradNestedTensor.cpp", False),
        ("Functions.cpp", False),
    ],
)
def test_which_sources_are_cut(name, cut):
    assert is_cut(name) is cut
