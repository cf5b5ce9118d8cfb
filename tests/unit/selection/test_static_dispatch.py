from __future__ import annotations

import pytest
from samples import make_list

from builder.core.plan import DispatchBackend
from builder.selection.static_dispatch import choose_static_dispatch
from builder.sources.releases import load_release

KNOWN = tuple(load_release().backends.values())
BOTH = (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["aten::add.Tensor", "prepacked::conv2d_clamp_run"],
        ["aten::fake_quantize_per_tensor_affine", "aten::quantile", "prim::is_quantized"],
    ],
)
def test_float_models_are_called_directly(names):
    wanted = make_list(*names, classes=("xnnpack.Conv2dOpContext",))
    assert choose_static_dispatch(wanted, KNOWN) == (DispatchBackend.CPU,)


@pytest.mark.parametrize(
    "name",
    [
        "quantized::conv2d.new",
        "_quantized::add",
        "sparse::qlinear",
        "aten::quantize_per_tensor",
        "aten::dequantize.self",
        "aten::_empty_affine_quantized",
        "aten::q_scale",
        "aten::int_repr",
        "aten::quantized_lstm.input",
    ],
)
def test_quantised_tensors_need_a_choice_at_run_time(name):
    assert choose_static_dispatch(make_list("aten::relu", name), KNOWN) == BOTH


@pytest.mark.parametrize("name", ["quantized.LinearPackedParamsBase", "rnn.CellParamsBase"])
def test_packed_weights_are_made_from_quantised_tensors(name):
    assert choose_static_dispatch(make_list("aten::relu", classes=(name,)), KNOWN) == BOTH
