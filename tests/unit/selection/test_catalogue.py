from __future__ import annotations

import pytest

from builder.core.operators import Operator
from builder.selection.catalogue import (
    OperatorCatalogue,
    read_catalogue,
    read_dispatcher_operators,
    read_hand_registrations,
    read_namespaces,
    read_schema_classes,
)

HEADER = """\
#pragma once
namespace at { namespace _ops {

struct TORCH_API scale_Tensor {
  using schema = at::Tensor (const at::Tensor &, double);
  static constexpr const char* name = "aten::scale";
  static constexpr const char* overload_name = "Tensor";
  static constexpr const char* schema_str = "scale.Tensor(Tensor a, str b=\\"c;d\\") -> Tensor";
  static at::Tensor call(const at::Tensor & self);
};

struct TORCH_API scale {
  static constexpr const char* name = "aten::scale";
  static constexpr const char* overload_name = "";
  static constexpr const char* schema_str = "scale(Tensor self) -> Tensor";
};
}}
"""
GENERATED = """\
at::Tensor scale_Tensor::call(const at::Tensor & self) {
    return at::cpu::scale(self);
}

at::Tensor scale::call(const at::Tensor & self) {
    TORCH_CHECK(false, "Static dispatch does not support scale forCPU ");
}

at::Tensor scale_Tensor::redispatch(c10::DispatchKeySet keys, const at::Tensor & self) {
    TORCH_CHECK(false, "something else");
}
"""
BY_HAND = """\
// "aten::from_a_comment(Tensor x) -> Tensor"
/* aten::from_a_block
   aten::of_two_lines */
TORCH_LIBRARY_FRAGMENT(mine, m) {
  m.def(TORCH_SELECTIVE_SCHEMA("mine::run.fast(Tensor x) -> Tensor"), run); // mine::late
  m.def("mine::stop() -> ()");
}
"""


@pytest.fixture
def ops(tmp_path):
    folder = tmp_path / "ops"
    folder.mkdir()
    (folder / "scale_ops.h").write_text(HEADER)
    (folder / "scale_native.h").write_text(HEADER.replace("aten::scale", "aten::wrong"))
    (tmp_path / "Operators_0.cpp").write_text(GENERATED)
    return folder


@pytest.fixture
def sources(tmp_path):
    def write(**texts: str):
        listed = []
        for name, text in texts.items():
            path = tmp_path / f"{name}.cpp"
            path.write_bytes(text.encode(errors="surrogateescape"))
            listed.append((f"{name}.cpp", path))
        return listed

    return write


def test_the_dispatchers_operators_are_those_of_the_ops_headers(ops):
    operators = read_dispatcher_operators(ops)
    assert set(operators) == {Operator("aten::scale", "Tensor"), Operator("aten::scale")}
    found = operators[Operator("aten::scale", "Tensor")]
    assert (found.struct, found.header) == ("scale_Tensor", "ATen/ops/scale_ops.h")
    assert operators[Operator("aten::scale")].struct == "scale"


def test_names_outside_of_comments_count(sources):
    found = read_hand_registrations(sources(a=BY_HAND))
    assert set(found) == {"mine::run", "mine::run.fast", "mine::stop"}
    assert found["mine::run.fast"] == {"a.cpp"}


@pytest.mark.parametrize(
    "text",
    [
        "TORCH_LIBRARY(aten, m) {",
        "TORCH_LIBRARY_IMPL (aten, CPU, m) {",
        "RegisterOperators reg({",
        "prim_op_fn_register(",
    ],
)
def test_every_way_to_register_is_known(sources, text):
    assert read_hand_registrations(sources(a=f'{text}\n"aten::x"')) == {"aten::x": {"a.cpp"}}


@pytest.mark.parametrize("text", ['call("aten::x");', '// see MY_TORCH_LIBRARY\n"aten::x"'])
def test_files_that_register_nothing_do_not_count(sources, text):
    assert read_hand_registrations(sources(a=text)) == {}


def test_an_operator_may_be_registered_by_several_units(sources):
    found = read_hand_registrations(sources(a=BY_HAND, b=BY_HAND))
    assert found["mine::stop"] == {"a.cpp", "b.cpp"}


def test_bytes_that_are_no_text_are_survived(sources):
    assert "mine::stop" in read_hand_registrations(sources(a="\udcff" + BY_HAND))


def test_exact_overloads_come_first():
    catalogue = OperatorCatalogue(
        dispatcher={},
        undispatched=frozenset(),
        classes={},
        by_hand={
            "aten::len": frozenset({"a.cpp", "b.cpp"}),
            "aten::len.t": frozenset({"b.cpp"}),
        },
    )
    assert catalogue.find_units(Operator("aten::len", "t")) == {"b.cpp"}
    assert catalogue.find_units(Operator("aten::len", "Tensor")) == {"a.cpp", "b.cpp"}
    assert catalogue.find_units(Operator("aten::none")) == frozenset()
    assert catalogue.mentions() == {
        "a.cpp": {"aten::len"},
        "b.cpp": {"aten::len", "aten::len.t"},
    }


def test_every_name_can_be_suggested(ops, sources):
    catalogue = read_catalogue(sources(a=BY_HAND), ops)
    assert {"aten::scale", "aten::scale.Tensor", "mine::run.fast"} <= catalogue.names()


def test_operators_without_a_kernel_are_those_whose_call_only_raises(ops, sources):
    assert read_catalogue(sources(), ops).undispatched == {Operator("aten::scale")}


def test_classes_are_read_from_schemas(sources):
    text = """
    // "mine::old(__torch__.torch.classes.mine.Gone x) -> Tensor"
    m.def(TORCH_SELECTIVE_SCHEMA("mine::run.fast(__torch__.torch.classes.mine.Packed[] w, "
        "__torch__.torch.classes.other.Cell c) -> Tensor"));
    m.def("mine::stop(Tensor x) -> Tensor");
    getCustomClass("__torch__.torch.classes.mine.Other");
    """
    assert read_schema_classes(sources(a=text)) == {"mine::run.fast": {"mine.Packed", "other.Cell"}}


def test_what_is_known_leaves_out_names_of_cpp_and_what_only_raises(ops, sources):
    text = 'TORCH_LIBRARY_FRAGMENT(mine, m) { m.def("mine::run", std::move(f)); aten::len; }'
    hand_written = sources(a=text)
    namespaces = read_namespaces(hand_written)
    assert namespaces == {"aten", "prim", "mine"}
    known = read_catalogue(hand_written, ops).list_known(namespaces)
    assert known.any_overload == {"mine::run", "aten::len"}
    assert "aten::scale" not in known.exact
    assert known.exact
