from __future__ import annotations

import pytest
from samples import make_list

from builder.core.operator_schemas import Schemas
from builder.core.operators import Operator
from builder.selection.catalogue import DispatcherOperator
from builder.selection.own_core import (
    CoreFunction,
    OwnCore,
    find_lacks,
    read_own_core,
    render_table,
)
from builder.system.folders import data_folder

SCHEMAS = Schemas(
    """\
aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)
aten::pool(Tensor self, int[2] size, int[2] stride=[], int[2] pad=0, float? s=1) -> Tensor
aten::norm(Tensor self, int[1] dim=[-2, -1], str mode="no\\"rm", ScalarType? d=None) -> Tensor
aten::named(Tensor self, Dimname dim) -> Tensor
aten::len.t(t[] a) -> int
aten::format(str self, ...) -> str
prim::Print(...) -> ()
"""
)
CORE = OwnCore(
    functions={
        Operator("aten::len", "t"): CoreFunction(function="length"),
        Operator("aten::format", ""): CoreFunction(function="format", taken=1, left=1),
        Operator("prim::TupleUnpack", ""): CoreFunction(function="unpack", taken=1, left=-1),
    },
    plain={Operator("aten::add", "Tensor"): CoreFunction(function="add_tensors")},
    classes={"xnnpack.Conv2dOpContext": "restore_convolution"},
)
BY_HAND = frozenset({"aten::len.t", "aten::format", "prim::Print"})


def entry(struct: str) -> DispatcherOperator:
    return DispatcherOperator(struct=struct, header=f"ATen/ops/{struct}_ops.h")


def render(*names: str, classes=(), since=None, printing=False) -> str:
    operators = [Operator.parse(name) for name in names]
    dispatched = {
        one: entry(str(one).partition("::")[2].replace(".", "_"))
        for one in operators
        if one not in CORE.functions
    }
    return render_table(
        dispatched,
        operators,
        classes,
        core=CORE,
        schemas=SCHEMAS,
        since=since or {},
        printing=printing,
    )


def test_the_core_of_this_version_has_what_mobilenet_needs():
    core = read_own_core(data_folder("cmake") / "runtime")
    assert (
        core.functions[Operator.parse("prepacked::conv2d_clamp_run")].function == "run_convolution"
    )
    assert core.functions[Operator.parse("prim::TupleIndex")] == CoreFunction(
        function="tuple_index", taken=2, left=1
    )
    # What the core has for few dtypes alone is no function of it in other runtimes.
    add = Operator.parse("aten::add.Tensor")
    assert core.plain[add].function == "add_tensors"
    assert add not in core.functions
    assert core.functions[Operator.parse("prim::TupleUnpack")].left == -1
    # One function may be several operators.
    names = ("aten::add.int", "aten::add.float_int", "aten::add")
    assert {core.functions[Operator.parse(name)].function for name in names} == {"add_numbers"}
    assert core.classes["xnnpack.Conv2dOpContext"] == "restore_convolution"


def test_operators_of_torchgen_and_of_the_core_lack_nothing():
    wanted = make_list("aten::add.Tensor", "aten::len.t", "aten::format")
    assert find_lacks(wanted, CORE, SCHEMAS, BY_HAND) == {}


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        ("prim::Print", "is registered by hand in PyTorch"),
        ("aten::named", "takes or returns a Dimname"),
    ],
)
def test_what_the_core_lacks_is_named(operator, reason):
    wanted = make_list("aten::add.Tensor", operator)
    assert find_lacks(wanted, CORE, SCHEMAS, BY_HAND) == {operator: reason}


def test_a_custom_class_that_cannot_be_made_is_named():
    wanted = make_list("aten::add.Tensor", classes=("other.Packed",))
    assert find_lacks(wanted, CORE, SCHEMAS, BY_HAND) == {
        "other.Packed": "is a custom class that it cannot make"
    }


def test_a_row_has_the_arguments_defaults_results_and_outputs_of_the_schema():
    text = render("aten::add.Tensor", "aten::add.out")
    assert '{"aten::add.Tensor", register_operator_aten_cadd_oTensor, ' in text
    assert "defaults_of_register_operator_aten_cadd_oTensor, 3, 1, 1, 0, false, false, 0}" in text
    assert "defaults_of_register_operator_aten_cadd_oout, 4, 1, 1, 1, false, false, 0}" in text
    assert "torchlite::call(at::_ops::add_Tensor::call, stack);" in text
    assert "#include <ATen/ops/add_Tensor_ops.h>" in text


def test_defaults_are_written_as_the_schema_means_them():
    text = render("aten::pool", "aten::norm")
    pool = next(line for line in text.splitlines() if "defaults_of" in line and "cpool[]" in line)
    assert pool.endswith(
        "= {Default(uint8_t{0}, 0x0ULL), Default(uint8_t{2}, 0x0ULL), Default(1.0)};"
    )
    norm = next(line for line in text.splitlines() if "defaults_of" in line and "cnorm[]" in line)
    # Two bytes, -2 and -1, the first the lowest.
    assert 'Default(uint8_t{2}, 0xfffeULL), Default("no\\"rm"), Default(Default::None)' in norm


def test_promoted_operators_take_what_is_given():
    text = render("aten::format", "prim::TupleUnpack")
    assert "nullptr, 1, 1, 0, 0, true, true, 0}" in text
    assert "nullptr, 1, -1, 0, 0, false, true, 0}" in text


def test_rows_are_in_the_order_of_bytes_whatever_order_is_given():
    text = render("aten::norm", "aten::len.t", "aten::add.Tensor")
    rows = [line.split('"')[1] for line in text.splitlines() if line.startswith('    {"aten')]
    assert rows == ["aten::add.Tensor", "aten::len.t", "aten::norm"]
    assert text == render("aten::len.t", "aten::add.Tensor", "aten::norm")


def test_classes_upgraders_and_printing_come_into_the_table():
    text = render(
        "aten::add.Tensor",
        classes=["xnnpack.Conv2dOpContext"],
        since={Operator("aten::add", "Tensor"): 4},
        printing=True,
    )
    assert '{"__torch__.torch.classes.xnnpack.Conv2dOpContext", restore_convolution},' in text
    assert "false, false, 4}" in text
    assert "tensor_printer)(const at::Tensor&) = print_tensor;" in text
