"""What an operator would refuse is left as it is, at a cost that the file's size bounds."""

from __future__ import annotations

import pytest

from builder.graph.graph import TensorInfo
from builder.graph.passes.scalar_rules import RULES, NotComputable, compute
from builder.graph.shapes import infer
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import read_graph

SCHEMAS = load_schemas()


def run(name: str, *arguments: object) -> object:
    return compute(SCHEMAS.find(name), [*arguments])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("odd", ["%20000000000d", 1, 2**63 - 1, [1] * 300, (1, 2), None, object()])
def test_other_kinds_are_refused_or_give_what_the_schema_says(name, odd):
    schema = SCHEMAS.find(name)
    for other in (odd, 10**12, 1.5, "a"):
        given = [odd, *[other] * (len(schema.arguments) - 1)]
        try:
            result = compute(schema, given)
        except NotComputable:
            continue
        assert not isinstance(result, str | list) or len(result) <= 1000


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("aten::mul.int", ("a", 10**12)),
        ("aten::mul.int", ([1], 3)),
        ("aten::mul.int", (2**62, 2)),
        ("aten::remainder.int", ("%d", 1)),
        ("aten::__derive_index", ("a", "b", 2)),
        ("aten::__range_length", (0, 2**62, 0)),
        ("aten::__range_length", (-(2**63), 2**63 - 1, 1)),
        ("aten::add.str", ("a" * 600, "a" * 600)),
        ("aten::add.t", ([1] * 600, [1] * 600)),
        ("aten::add.int", (True, 1)),
        ("aten::ceil.float", (float("nan"),)),
        ("aten::Float.Scalar", ("1",)),
    ],
)
def test_not_computable(name, arguments):
    with pytest.raises(NotComputable):
        run(name, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("prim::max.float", (float("nan"), 1.0), "1.0"),
        ("prim::max.float", (1.0, float("nan")), "nan"),
        ("prim::min.float", (0.0, -0.0), "-0.0"),
        ("prim::max.float", (-0.0, 0.0), "0.0"),
        ("aten::eq.int_float", (2**53 + 1, float(2**53)), "True"),
        ("aten::div.int", (2**63 - 1, 3), "3.0744573456182584e+18"),
        ("aten::remainder.int", (7, -3), "-2"),
        ("aten::__range_length", (0, 7, 3), "3"),
        ("aten::__range_length", (7, 0, -3), "3"),
        ("aten::__range_length", (7, 0, 3), "0"),
    ],
)
def test_numbers_are_those_of_torch(name, arguments, result):
    assert repr(run(name, *arguments)) == result


@pytest.mark.parametrize(
    "line",
    [
        "aten::permute(%x, [7, 9])",
        "aten::slice.Tensor(%x, 0, None, None, 0)",
        "aten::conv2d(%x, %x, None, [1, 1], [0, 0], [1, 1], 1)",
        "aten::pad(%x, [4611686018427387904, 4611686018427387904], 'constant', None)",
    ],
)
def test_shapes_that_no_tensor_has_are_unknown(line):
    graph = read_graph(f"(%self, %x: float32[2, 2])\n%y = {line}\nyield %y")
    infer(graph, SCHEMAS)
    info = graph.block.outputs[0].info
    assert info is None or info.sizes is None or None in info.sizes


def test_sizes_are_bounded():
    assert TensorInfo("int8", (2**63, 2**63 - 1, -1)).sizes == (None, 2**63 - 1, None)
    assert TensorInfo("int8", (1,) * 65).sizes is None
