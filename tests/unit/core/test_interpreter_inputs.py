from __future__ import annotations

import numpy as np
import pytest

from builder.core.arrays import sample_inputs, to_array, to_tensor
from builder.core.interpreter_inputs import adapt, place
from builder.core.nesting import list_leaves, parse_input
from builder.core.signatures import make_signature
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError


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


ENCODER = make_signature(
    "forward",
    [
        ("self", "M", None),
        ("ids", "Tensor", None),
        ("past", "Optional[Tensor]", None),
        ("scale", "float", 2.0),
        ("mode", "str", "sum"),
        ("mask", "Optional[Tensor]", None),
        ("more", "Optional[List[int]]", [1, 2]),
    ],
    ["Tensor"],
)


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        (("int64[1,6]",), ("int64[1,6]",)),
        (("ids=int64[1,6]",), ("int64[1,6]",)),
        (("int64[1,6]", "past=float32[2]"), ("int64[1,6]", "float32[2]")),
        (
            ("mask=bool[2]", "ids=[int8[3], 4]"),
            ("[int8[3], 4]", "None", "2.0", "'sum'", "bool[2]"),
        ),
        (
            ("int8", "None", "more=[3]"),
            ("int8[]", "None", "2.0", "'sum'", "None", "[3]"),
        ),
    ],
)
def test_names_become_positions(given, placed):
    specs = tuple(map(parse_input, given))
    found, leaves = place(ENCODER, specs, sample_inputs(specs, seed=0))
    assert tuple(map(str, found)) == placed
    assert [leaf.spec for leaf in leaves] == [
        getattr(leaf, "spec", leaf) for leaf in list_leaves(found)
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("int8", "maks=int8"), "maks is no argument of it"),
        (("int8", "ids=int8"), "ids is no argument of it, or is given by position too"),
        (("mask=int8",), "ids stands in front of inputs that are given"),
    ],
)
def test_names_that_do_not_fit(given, words):
    specs = tuple(map(parse_input, given))
    with pytest.raises(ConfigurationError, match=words) as caught:
        place(ENCODER, specs, sample_inputs(specs, seed=0))
    assert "(Tensor ids, Tensor? past, float scale=2.0, str mode='sum'" in caught.value.message
    assert "inputs=" in caught.value.hint
