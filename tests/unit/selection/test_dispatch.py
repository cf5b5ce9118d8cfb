from __future__ import annotations

import pytest

from builder.core.operators import Operator
from builder.core.plan import DispatchBackend
from builder.selection.dispatch import choose_static_dispatch


@pytest.mark.parametrize("names", [[], ["aten::add.Tensor", "prepacked::conv2d_clamp_run"]])
def test_float_models_are_called_directly(names):
    assert choose_static_dispatch(map(Operator.parse, names)) == (DispatchBackend.CPU,)


@pytest.mark.parametrize(
    "name",
    [
        "quantized::conv2d.new",
        "_quantized::add",
        "sparse::qlinear",
        "aten::quantize_per_tensor",
        "aten::dequantize.self",
    ],
)
def test_quantised_tensors_need_a_choice_at_run_time(name):
    operators = [Operator.parse("aten::relu"), Operator.parse(name)]
    assert choose_static_dispatch(operators) == (
        DispatchBackend.CPU,
        DispatchBackend.QUANTIZED_CPU,
    )
