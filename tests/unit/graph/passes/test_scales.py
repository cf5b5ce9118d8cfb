"""Factors that are powers of two go into the linear layers that they scale."""

from __future__ import annotations

import numpy as np
import pytest

from builder.graph.graph import Graph
from builder.graph.passes.fold_scales import fold_scales
from builder.graph.shapes import infer
from builder.graph.well_formed import check_graph
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, tensor, values, write_graph

SCHEMAS = load_schemas()
QUERY, KEY, BIAS = ramp(4, 4), ramp(4, 4), ramp(4)
ATTENTION = """
    (%self, %x: Tensor float32 ?,?,4)
    %q = aten::linear(%x, Q, B)
    %heads = aten::view(%q, [1, -1, 2, 2])
    %queries = aten::transpose.int(%heads, 1, 2)
    %k = aten::linear(%x, K, None)
    %others = aten::view(%k, [1, -1, 2, 2])
    %keys = aten::permute(%others, [0, 2, 3, 1])
    %products = aten::matmul(%queries, %keys)
    %scores = {}
    %out = aten::softmax.int(%scores, -1, None)
    yield %out
"""


def fold(text: str, **names: object) -> tuple[Graph, int]:
    made = read_graph(text, Q=QUERY, K=KEY, B=BIAS, **names)
    infer(made, SCHEMAS)
    changed = fold_scales(made, SCHEMAS).changed
    check_graph(made)
    return made, changed


def layers(made: Graph) -> list[tuple[object, ...]]:
    found = [node for node in made.block.nodes if node.operator == "aten::linear"]
    return [tuple(value.constant for value in node.inputs[1:]) for node in found]


@pytest.mark.parametrize(
    ("scaling", "factor"),
    [
        ("aten::div.Tensor(%products, 8)", 0.125),
        ("aten::div.Tensor(%products, EIGHT)", 0.125),
        ("aten::div.Scalar(%products, -2.0)", -0.5),
        ("aten::mul.Tensor(%products, 0.25)", 0.25),
        ("aten::mul.Tensor(QUARTER, %products)", 0.25),
        ("aten::mul.Scalar(%products, 4)", 4.0),
    ],
)
def test_scaled_products_are_products_of_scaled_queries(scaling, factor):
    constants = {"EIGHT": scalar(8.0), "QUARTER": scalar(0.25)}
    made, changed = fold(ATTENTION.format(scaling), **constants)
    assert changed == 1
    assert not any("aten::div" in line or "aten::mul" in line for line in write_graph(made))
    (weight, bias), (key, _) = layers(made)
    # Bit by bit, as a power of two changes the exponent alone.
    assert np.array_equal(values(weight), values(QUERY) * np.float32(factor))
    assert np.array_equal(values(bias), values(BIAS) * np.float32(factor))
    assert key is KEY


def scalar(value: float) -> object:
    return tensor(value, shape=(), dtype="float64")


@pytest.mark.parametrize(
    "scaling",
    [
        "aten::div.Tensor(%products, 7)",
        "aten::div.Tensor(%products, 0)",
        "aten::div.Tensor(%products, %products)",
        "aten::div.Tensor(8, %products)",
        "aten::div.Tensor_mode(%products, 8, 'floor')",
        "aten::mul.Tensor(%products, True)",
        "aten::mul.Tensor(%products, 1e-30)",
        "aten::mul.Tensor(%products, TWO)",
        "aten::add.Tensor(%products, 8, 1)",
    ],
)
def test_other_factors_stay(scaling):
    assert fold(ATTENTION.format(scaling), TWO=tensor(2.0, 2.0))[1] == 0


@pytest.mark.parametrize(
    "text",
    [
        # The result of the layer is used elsewhere.
        """
        (%self, %x: Tensor float32 ?,4)
        %y = aten::linear(%x, Q, B)
        %z = aten::mul.Tensor(%y, 0.5)
        %out = aten::add.Tensor(%y, %z, 1)
        yield %out
        """,
        """
        (%self, %x: Tensor float32 ?,4)
        %y = aten::linear(%x, Q, B)
        %v = aten::view(%y, [-1])
        %z = aten::mul.Tensor(%v, 0.5)
        yield %z, %v
        """,
        # A function of it is not linear.
        """
        (%self, %x: Tensor float32 ?,4)
        %y = aten::linear(%x, Q, B)
        %r = aten::relu(%y)
        %z = aten::mul.Tensor(%r, 0.5)
        yield %z
        """,
        # Its weight is not constant.
        """
        (%self, %x: Tensor float32 ?,4, %w: Tensor float32 4,4)
        %y = aten::linear(%x, %w, None)
        %z = aten::mul.Tensor(%y, 0.5)
        yield %z
        """,
        # A product of products.
        """
        (%self, %x: Tensor float32 4,4)
        %y = aten::linear(%x, Q, B)
        %p = aten::matmul(%x, %x)
        %m = aten::matmul(%p, %p)
        %z = aten::mul.Tensor(%m, 0.5)
        yield %z, %y
        """,
    ],
    ids=["used twice", "its view is used", "not linear", "not constant", "no layer"],
)
def test_layers_that_others_see_stay(text):
    assert fold(text)[1] == 0


def test_whoever_asks_for_sizes_sees_no_element():
    made, changed = fold(
        """
        (%self, %x: Tensor float32 ?,4)
        %y = aten::linear(%x, Q, B)
        %rows = aten::size.int(%y, 0)
        %v = aten::view(%y, [-1])
        %z = aten::mul.Tensor(%v, 0.5)
        yield %z, %rows
        """
    )
    assert changed == 1
    assert not any("aten::mul" in line for line in write_graph(made))


@pytest.mark.parametrize("image", ["%x: Tensor", "%x: Tensor float32"])
def test_a_factor_that_may_decide_the_dtype_stays(image):
    text = f"""
        (%self, {image})
        %y = aten::linear(%x, Q, B)
        %z = aten::mul.Tensor(%y, EIGHT)
        yield %z
        """
    assert fold(text, EIGHT=scalar(8.0))[1] == 0
    assert fold(text.replace("EIGHT", "8"))[1] == 1


def test_two_factors_of_one_layer():
    made, changed = fold(
        """
        (%self, %x: Tensor float32 ?,4)
        %y = aten::linear(%x, Q, B)
        %z = aten::mul.Tensor(%y, 0.5)
        %out = aten::div.Tensor(%z, 4)
        yield %out
        """
    )
    assert changed == 2
    ((weight, _),) = layers(made)
    assert np.array_equal(values(weight), values(QUERY) * np.float32(0.125))
