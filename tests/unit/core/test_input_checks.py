from __future__ import annotations

import pytest

from builder.core.input_checks import find_misfit, find_unpassable
from builder.core.nesting import parse_input
from builder.core.signatures import (
    UNKNOWN,
    Argument,
    Kind,
    Signature,
    make_signature,
    parse_kind,
)


def signature(*arguments, method="forward"):
    """Arguments as `(name, type)` or `(name, type, default)`, behind self."""
    rows = [(a[0], a[1], a[2] if len(a) > 2 else None) for a in arguments]
    return make_signature(method, [("self", "__torch__.Net", None), *rows], ["Tensor"])


def misfit(found, *texts: str) -> str:
    return find_misfit(found, tuple(map(parse_input, texts)))


def test_counts_are_compared():
    found = signature(("x", "Tensor"), ("sizes", "List[int]"))
    assert misfit(found, "float32[2]") == (
        "forward takes 2 inputs: (Tensor x, int[] sizes); 1 was given"
    )
    assert misfit(found, "float32[2]", "[1]", "3").endswith("; 3 were given")
    assert misfit(signature(), "float32") == "forward takes no inputs: (); 1 was given"
    one = signature(("x", "Tensor"))
    assert misfit(one) == "forward takes 1 input: (Tensor x); 0 were given"


def test_defaults_and_optionals_can_be_left_out():
    found = signature(("x", "Tensor"), ("mask", "Optional[Tensor]"), ("scale", "float", 2.0))
    assert misfit(found, "float32[2]") == ""
    assert misfit(found, "float32[2]", "bool[2]", "3.0") == ""
    text = "forward takes 1 to 3 inputs: (Tensor x, Tensor? mask, float scale=2.0); 0 were given"
    assert misfit(found) == text


def test_an_optional_before_a_required_one_cannot_be_left_out():
    found = signature(("mask", "Optional[Tensor]"), ("x", "Tensor"))
    assert "takes 2 inputs" in misfit(found, "float32[2]")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Tensor", "float32[2]"),
        ("Tensor", "int64"),
        ("Optional[Tensor]", "float32[2]"),
        ("int", "3"),
        ("int", "int64"),
        ("float", "3"),
        ("float", "2.5"),
        ("float", "float64"),
        ("bool", "True"),
        ("bool", "bool"),
        ("number", "3"),
        ("Scalar", "2.5"),
        ("List[int]", "[1, 2]"),
        ("List[int]", "[]"),
        ("List[int]", "int64[4]"),
        ("List[float]", "[1, 2.5]"),
        ("List[Tensor]", "[float32[2], int64[3]]"),
        ("Tuple[Tensor, int]", "(float32[2], 3)"),
        ("Tuple[Tensor, Tuple[int, int]]", "(float32[2], (3, 4))"),
        ("Dict[str, Tensor]", '{"a": float32[2]}'),
        ("Dict[str, List[int]]", '{"a": [1, 2]}'),
        ("__torch__.nets.Pair", "(float32[2], float32[2])"),
        ("Any", "[1]"),
        ("Union[float, int]", "3"),
        ("Union[Tensor, List[int]]", "[1, 2]"),
        ("Optional[Union[Tensor, str]]", "float32[2]"),
        ("str", "'a text'"),
        ("List[str]", "['a', 'b']"),
        ("Optional[str]", "None"),
        ("Optional[Tensor]", "None"),
        ("List[Optional[Tensor]]", "[None, float32[2]]"),
        ("Union[float, NoneType]", "None"),
        ("NoneType", "None"),
        ("Any", "None"),
        ("?", "3"),
    ],
)
def test_what_fits(kind, text):
    assert misfit(signature(("x", kind)), text) == ""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Tensor", "3"),
        ("Tensor", "[float32[2]]"),
        ("Optional[Tensor]", "2.5"),
        ("int", "2.5"),
        ("int", "True"),
        ("int", "int32"),
        ("int", "int64[1]"),
        ("int", "[3]"),
        ("float", "float32"),
        ("float", "True"),
        ("bool", "1"),
        ("str", "3"),
        ("str", "float32[2]"),
        ("str", "None"),
        ("str", "['a']"),
        ("Tensor", "None"),
        ("Tensor", "'a'"),
        ("Optional[Tensor]", "'a'"),
        ("List[Tensor]", "None"),
        ("List[Tensor]", "'a'"),
        ("List[str]", "['a', None]"),
        ("float", "None"),
        ("int", "'1'"),
        ("number", "'1'"),
        ("Union[float, int]", "None"),
        ("number", "[3]"),
        ("Union[Tensor, int]", "2.5"),
        ("Union[Tensor, List[int]]", "[2.5]"),
        ("List[int]", "3"),
        ("List[int]", "(1, 2)"),
        ("List[int]", "[1, 2.5]"),
        ("List[int]", "int32[4]"),
        ("List[int]", "int64[2,2]"),
        ("List[Tensor]", "float32[2]"),
        ("List[float]", "[float32[2]]"),
        ("Tuple[Tensor, int]", "(float32[2],)"),
        ("Tuple[Tensor, int]", "(float32[2], 2.5)"),
        ("Tuple[Tensor, int]", "[float32[2], 3]"),
        ("Dict[str, Tensor]", '{"a": 3}'),
        ("Dict[int, Tensor]", '{"a": float32[2]}'),
        ("Dict[str, Tensor]", "[float32[2]]"),
    ],
)
def test_what_does_not_fit(kind, text):
    found = signature(("x", "Tensor"), ("y", kind))
    told = misfit(found, "float32[1]", text)
    assert told.startswith(f"forward takes {found.parameters}: input 1, y, is ")


def test_a_list_of_lists_is_looked_into():
    found = signature(("x", "List[List[int]]"))
    assert misfit(found, "[[1], []]") == ""
    assert "is int[][]" in misfit(found, "[[1], [2.5]]")


def test_a_kind_without_parts_is_not_read_as_one():
    assert misfit(signature(("x", "List")), "[1]") == ""
    assert misfit(signature(("x", "Dict")), '{"a": 1}') == ""
    assert parse_kind("Optional") == Kind("Optional")


def test_objects_of_a_models_own_classes_cannot_be_passed():
    pair, tensor = Kind("__torch__.Pair"), Kind("Tensor")
    for kind in (pair, UNKNOWN, Kind("List", (pair,)), Kind("Optional", (UNKNOWN,))):
        signature = Signature("forward", (Argument("x", tensor), Argument("p", kind)))
        assert "p is an object of a class of the model" in find_unpassable(signature)
    assert find_unpassable(Signature("forward", (Argument("x", Kind("Dict", (tensor,))),))) == ""
