import pytest

from builder.core.model_facts import OperatorList
from builder.core.operators import Operator, OperatorSet
from builder.selection.gains import find_gains


@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        (("aten::conv2d", "aten::relu"), "aten::conv2d can be layers of XNNPACK"),
        (("aten::linear", "aten::conv2d"), "aten::conv2d and aten::linear can be"),
        (("aten::batch_norm",), "aten::batch_norm can become a part"),
        (("prepacked::conv2d_clamp_run",), "converted around each convolution"),
        (("prepacked::conv2d_clamp_run", "aten::contiguous"), ""),
        (("quantized::conv2d_relu.new", "aten::softmax.int"), ""),
    ],
)
def test_models_that_an_export_makes_faster(operators: tuple[str, ...], reason: str) -> None:
    listed = OperatorList(
        operators=OperatorSet.of(map(Operator.parse, operators), source="m.ptl")
        | OperatorSet.of([Operator("aten::add", "Tensor")], source="other.ptl")
    )
    found = dict(find_gains(listed))
    assert set(found) == ({"m.ptl"} if reason else set())
    assert reason in found.get("m.ptl", "")
