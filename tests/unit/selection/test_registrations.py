from __future__ import annotations

from pathlib import Path

from builder.core.operators import Operator
from builder.selection.catalogue import DispatcherOperator
from builder.selection.registrations import render_allowlist, render_registrations

GOLDEN = Path(__file__).parents[2] / "golden" / "registrations.cpp"
ADD = Operator("aten::add", "Tensor")
RELU = Operator("aten::relu")
DISPATCHED = {
    RELU: DispatcherOperator(struct="relu", header="ATen/ops/relu_ops.h"),
    ADD: DispatcherOperator(struct="add_Tensor", header="ATen/ops/add_ops.h"),
}


def test_the_registrations(golden):
    selected = [RELU, Operator("prim::NumToTensor", "Scalar"), ADD]
    golden(GOLDEN, render_registrations(DISPATCHED, selected))


def test_the_order_does_not_matter():
    reversed_order = dict(reversed(DISPATCHED.items()))
    assert render_registrations(DISPATCHED, [RELU, ADD]) == render_registrations(
        reversed_order, [ADD, RELU]
    )


def test_a_header_is_included_once():
    both = {
        ADD: DISPATCHED[ADD],
        Operator("aten::add", "Scalar"): DispatcherOperator(
            struct="add_Scalar", header="ATen/ops/add_ops.h"
        ),
    }
    assert render_registrations(both, list(both)).count("#include <ATen/ops/add_ops.h>") == 1


def test_an_empty_list_still_ends_with_a_null():
    text = render_registrations({}, [])
    assert text.endswith("selected_operators[] = {\n    nullptr,\n};\n")


def test_an_allowlist():
    classes = (
        "xnnpack.LinearOpContext",
        "quantized.Conv2dPackedParamsBase",
        "other.LinearOpContext",
    )
    assert render_allowlist([RELU, ADD], classes) == (
        "#pragma once\n"
        "#define TORCH_OPERATOR_WHITELIST aten::add.Tensor;aten::relu\n"
        "#define TORCH_CUSTOM_CLASS_ALLOWLIST Conv2dPackedParamsBase;LinearOpContext\n"
    )


def test_an_empty_allowlist_still_limits():
    """Without the definitions everything would be registered (op_allowlist.h)."""
    assert render_allowlist([], ()) == (
        "#pragma once\n#define TORCH_OPERATOR_WHITELIST\n#define TORCH_CUSTOM_CLASS_ALLOWLIST\n"
    )
