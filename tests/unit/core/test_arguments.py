from __future__ import annotations

import numpy as np
import pytest

from builder.core.arguments import adapt
from builder.core.arrays import sample_inputs, to_array, to_tensor
from builder.core.nesting import list_leaves, parse_input
from builder.core.signatures import make_signature
from builder.core.tensors import DType, TensorSpec


def signature(*kinds: str):
    rows = [("self", "T", None), *((f"x{i}", kind, None) for i, kind in enumerate(kinds))]
    return make_signature("forward", rows, [])


@pytest.mark.parametrize(
    ("kind", "given", "adapted"),
    [
        ("float", "2", "2.0"),
        ("int", "2", "2"),
        ("Optional[float]", "2", "2.0"),
        ("number", "2", "2"),
        ("Tensor", "float32[2]", "float32[2]"),
        ("Tensor", "int64", "int64[]"),
        ("List[float]", "[1, 2.5]", "[1.0, 2.5]"),
        ("List[Tensor]", "[float32[2]]", "[float32[2]]"),
        ("Tuple[Tensor, float]", "(float32[2], 3)", "(float32[2], 3.0)"),
        ("Dict[str, float]", '{"a": 1}', "{'a': 1.0}"),
        ("__torch__.Pair", "(1, 2)", "(1, 2)"),
        ("Optional[float]", "None", "None"),
        ("Tuple[str, float]", "('a', 3)", "('a', 3.0)"),
    ],
)
def test_numbers_become_what_the_method_takes(kind, given, adapted):
    specs = (parse_input(given),)
    found, leaves = adapt(signature(kind), specs, sample_inputs(specs, seed=0))
    assert [str(spec) for spec in found] == [adapted]
    assert [leaf.spec for leaf in leaves] == [
        getattr(leaf, "spec", leaf) for leaf in list_leaves(found)
    ]


def test_tensors_that_stand_for_numbers_become_numbers():
    scalar, row = TensorSpec(DType.FLOAT64, ()), TensorSpec(DType.INT64, (3,))
    leaves = (to_tensor(np.asarray(2.5), scalar), to_tensor(np.asarray([4, 5, 6]), row))
    specs, adapted = adapt(signature("float", "List[int]"), (scalar, row), leaves)
    assert [str(spec) for spec in specs] == ["2.5", "[4, 5, 6]"]
    assert [to_array(leaf).item() for leaf in adapted] == [2.5, 4, 5, 6]


def test_nothing_changes_where_nothing_is_known():
    specs = (parse_input("2"), parse_input("float64"))
    leaves = sample_inputs(specs, seed=0)
    assert adapt(None, specs, leaves) == (specs, leaves)
    assert adapt(signature(), specs, leaves) == (specs, leaves)
