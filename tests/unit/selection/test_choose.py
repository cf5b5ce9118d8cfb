from __future__ import annotations

import pytest
from samples import make_list

from builder.core.operators import Operator
from builder.errors import ExitCode, ModelError
from builder.selection.catalogue import DispatcherOperator, OperatorCatalogue
from builder.selection.choose import find_raising, find_refusals, select
from builder.selection.release_rules import SelectionRules

RULES = SelectionRules(
    always=frozenset({"always.cpp"}),
    always_own=frozenset({"guard.cpp"}),
    ignored=frozenset({"mentions_only.cpp"}),
    preferred=frozenset({"promoted.cpp"}),
    custom_classes={
        "xnnpack": frozenset({"context.cpp"}),
        "rnn": frozenset({"rnn.cpp"}),
        "packed": frozenset({"packed.cpp"}),
    },
    made_of={"rnn.Cell": frozenset({"packed.Linear"})},
    by_name={"quantized": frozenset({"library.cpp"})},
    printing_unit="printing.cpp",
    printing=frozenset({"aten::str"}),
    raising={"aten::mul*": "makes something odd"},
    libraries={"torchvision": "torchvision is not built"},
)
CATALOGUE = OperatorCatalogue(
    dispatcher={
        Operator("aten::add", "Tensor"): DispatcherOperator(
            struct="add_Tensor", header="ATen/ops/add_ops.h"
        ),
        Operator("aten::add", "Scalar"): DispatcherOperator(
            struct="add_Scalar", header="ATen/ops/add_ops.h"
        ),
        Operator("aten::mul", "Tensor"): DispatcherOperator(
            struct="mul_Tensor", header="ATen/ops/mul_ops.h"
        ),
        Operator("aten::_nnz"): DispatcherOperator(struct="_nnz", header="ATen/ops/_nnz_ops.h"),
    },
    undispatched=frozenset({Operator("aten::_nnz")}),
    by_hand={
        "aten::len": frozenset({"prims.cpp", "promoted.cpp", "special.cpp"}),
        "aten::len.t": frozenset({"prims.cpp", "promoted.cpp"}),
        "aten::len.str": frozenset({"special.cpp", "mentions_only.cpp"}),
        "aten::seen": frozenset({"mentions_only.cpp"}),
        "aten::add": frozenset({"special.cpp"}),
        "aten::str": frozenset({"special.cpp"}),
        "quantized::conv2d.new": frozenset({"qconv.cpp"}),
        "aten::cell.input": frozenset({"special.cpp"}),
    },
    classes={"aten::cell.input": frozenset({"rnn.Cell"})},
)


def choose(*names: str, classes: tuple[str, ...] = ()):
    return select(make_list(*names, classes=classes), CATALOGUE, RULES)


def test_dispatched_operators_need_no_unit_of_their_own():
    selection = choose("aten::add.Tensor")
    assert selection.roots == {"always.cpp"}
    assert "add_Tensor::call" in selection.registrations
    assert "add_Scalar" not in selection.registrations


def test_of_two_units_the_one_that_the_interpreter_asks_first_is_taken():
    assert choose("aten::len.t").roots == {"always.cpp", "promoted.cpp"}


def test_each_operator_by_hand_has_its_units():
    selection = choose("aten::len.t", "aten::add.Tensor", "quantized::conv2d.new")
    assert selection.always == {"always.cpp"}
    assert selection.by_hand == {
        Operator("aten::len", "t"): {"promoted.cpp"},
        Operator("quantized::conv2d", "new"): {"qconv.cpp", "library.cpp"},
    }


def test_custom_classes_bring_their_units_whatever_the_operators():
    selection = choose("aten::add.Tensor", classes=("xnnpack.LinearOpContext",))
    assert selection.always == {"always.cpp", "context.cpp"}


def test_units_that_only_mention_an_operator_are_not_taken():
    assert choose("aten::len.str").roots == {"always.cpp", "special.cpp"}


def test_namespaces_and_classes_bring_what_is_looked_up_by_name():
    selection = choose("quantized::conv2d.new", classes=("xnnpack.Conv2dOpContext", "mine.X"))
    assert selection.roots == {"always.cpp", "qconv.cpp", "library.cpp", "context.cpp"}


def test_classes_of_schemas_are_registered_and_what_they_are_made_of():
    selection = choose("aten::cell.input")
    assert selection.roots == {"always.cpp", "special.cpp", "rnn.cpp", "packed.cpp"}
    allowed = "#define TORCH_CUSTOM_CLASS_ALLOWLIST Cell;Linear\n"
    assert all(
        text.endswith(allowed)
        for unit, text in selection.limits.items()
        if unit != RULES.printing_unit
    )


def test_every_unit_that_registers_by_hand_is_limited_to_what_is_wanted():
    selection = choose("aten::add.Tensor", "aten::len.t", classes=("xnnpack.C",))
    assert set(selection.limits) == {
        *("prims.cpp", "promoted.cpp", "special.cpp", "mentions_only.cpp", "qconv.cpp"),
        "printing.cpp",
    }
    assert "#define TORCH_OPERATOR_WHITELIST aten::len.t\n" in selection.limits["prims.cpp"]
    assert "aten::add" not in selection.limits["special.cpp"]  # torchgen's, so registered once
    assert "#define TORCH_OPERATOR_WHITELIST\n" in selection.limits["qconv.cpp"]


def test_tensors_are_printed_in_full_only_where_an_operator_can_print():
    assert "TORCHLITE_BRIEF_TENSORS" in choose("aten::add.Tensor").limits["printing.cpp"]
    assert "printing.cpp" not in choose("aten::add.Tensor", "aten::str").limits


def test_the_runtime_names_all_that_is_selected():
    text = choose("aten::add.Tensor", "aten::len.t", "quantized::conv2d.new").registrations
    for name in ("aten::add.Tensor", "aten::len.t", "quantized::conv2d.new"):
        assert f'    "{name}",\n' in text


def test_an_empty_list_is_a_runtime_without_operators():
    assert choose().roots == {"always.cpp"}


def refuse(*names: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        choose("aten::add.Tensor", *names)
    assert caught.value.exit_code is ExitCode.MODEL
    assert "ops(MODEL)" in caught.value.hint
    assert "skip_unknown" in caught.value.hint
    return caught.value


def test_a_misspelt_operator_is_refused_with_near_names():
    message = refuse("aten::mul.Tensr").message
    assert "aten::mul.Tensr (wanted by m.ptl): does not exist" in message
    assert "did you mean aten::mul.Tensor" in message


def test_all_unknown_operators_are_named_at_once():
    message = refuse("aten::zzzz", "mine::custom").message
    assert "aten::zzzz (wanted by m.ptl): does not exist" in message
    assert "mine::custom (wanted by m.ptl): does not exist" in message
    assert "aten::add.Tensor" not in message


def test_operators_of_a_library_say_which():
    message = refuse("torchvision::nms").message
    assert "torchvision::nms (wanted by m.ptl): torchvision is not built" in message


def test_an_operator_that_is_only_mentioned_does_not_exist():
    assert "aten::seen (wanted by m.ptl): does not exist" in refuse("aten::seen").message


def test_the_rest_of_a_list_with_refused_operators_can_be_selected():
    wanted = make_list("aten::add.Tensor", "torchvision::nms", "mine::custom")
    refused = find_refusals(wanted, CATALOGUE, RULES)
    assert [str(operator) for operator in refused] == ["mine::custom", "torchvision::nms"]
    served = wanted.without(refused)
    assert find_refusals(served, CATALOGUE, RULES) == {}
    assert "add_Tensor::call" in select(served, CATALOGUE, RULES).registrations


def test_operators_that_only_raise_are_built_and_known():
    wanted = make_list("aten::add.Tensor", "aten::_nnz", "aten::mul.Tensor")
    assert {str(o): why for o, why in find_raising(wanted, CATALOGUE, RULES).items()} == {
        "aten::_nnz": "has no kernel for dense or quantised tensors on a CPU",
        "aten::mul.Tensor": "makes something odd",
    }
    assert "_nnz::call" in select(wanted, CATALOGUE, RULES).registrations
