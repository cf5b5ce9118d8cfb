from __future__ import annotations

import pytest
from samples import make_reference_graph

from builder.core.artifacts import OperatorPrice
from builder.errors import ModelError
from builder.size.prices import price_operators, price_set

GRAPH = make_reference_graph()


def test_prices():
    """What add and mul share is nobody's alone; what the core has is in no exclusive price."""
    prices = price_operators(GRAPH, {"aten::mul": ("m.ptl",)})
    assert prices == {
        "aten::add.Tensor": OperatorPrice(exclusive=1003, inclusive=41_103, models=()),
        "aten::mul": OperatorPrice(exclusive=2005, inclusive=42_005, models=("m.ptl",)),
        "aten::neg": OperatorPrice(exclusive=7, inclusive=117, models=()),
    }


@pytest.mark.parametrize(
    ("operators", "size"),
    [
        ((), 0),
        (("aten::mul",), 2005),
        (("aten::add.Tensor", "aten::mul"), 1003 + 2005 + 40_000),
        (("aten::add", "aten::mul", "aten::mul"), 1003 + 2005 + 40_000),
        (("aten::neg", "aten::mul"), 2012),
    ],
)
def test_a_set_is_priced_together(operators, size):
    assert price_set(GRAPH, operators) == size


def test_each_price_is_that_of_a_set_of_one():
    for operator, price in price_operators(GRAPH, {}).items():
        assert price_set(GRAPH, [operator]) == price.exclusive


def test_an_unknown_operator_is_named():
    with pytest.raises(ModelError, match="no operator aten::muls") as caught:
        price_set(GRAPH, ["aten::mul", "aten::muls"])
    assert caught.value.hint == "did you mean aten::mul?"
