"""Types of results, and the parts of types."""

from __future__ import annotations

import pytest

from builder.graph.types import join_tuple, parse_result, parts_of, result_type, type_of
from builder.lite.objects import CustomObject, List, ScriptObject


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ("Tensor", "Tensor"),
        ("Tensor?", "Optional[Tensor]"),
        ("Tensor[]", "List[Tensor]"),
        ("int[2]?", "Optional[List[int]]"),
        ("Tensor?[]", "List[Optional[Tensor]]"),
        ("SymInt", "int"),
        ("ScalarType?", "Optional[int]"),
        ("t", ""),
        ("t[]", ""),
        ("Any", ""),
        ("Dict(str, int)", ""),
    ],
)
def test_results(schema: str, kind: str) -> None:
    assert parse_result(schema) == kind


def test_parts() -> None:
    assert parts_of("Dict[str, List[Tuple[int, str]]]", "Dict") == ["str", "List[Tuple[int, str]]"]
    assert parts_of("Dict[str,Tensor]", "Dict") == ["str", "Tensor"]
    assert parts_of("Tuple[()]", "Tuple") == []
    assert parts_of("List[int]", "Tuple") == []
    assert parts_of("Tuple[int", "Tuple") == []
    assert parts_of("", "Tuple") == []


def test_results_of_containers() -> None:
    assert result_type("prim::DictIndex", ["Dict[str, List[int]]", "str"]) == "List[int]"
    assert result_type("prim::unchecked_cast", ["Optional[Tensor]"]) == "Tensor"
    assert result_type("prim::unchecked_cast", ["Union[int, str]"]) == ""
    assert result_type("aten::__getitem__.t", ["List[Tensor]", "int"]) == "Tensor"
    assert result_type("prim::DictIndex", ["", "str"]) == ""
    assert result_type("prim::Uninitialized", []) == ""


def test_types_of_nested_tuples_do_not_explode() -> None:
    kind = "int"
    for _ in range(100):
        kind = join_tuple([kind, kind])
    assert kind == ""


def test_types_of_values() -> None:
    assert [type_of(value) for value in (None, True, 1, 1.0, 1j, "")] == [
        *("NoneType", "bool", "int", "float", "complex", "str")
    ]
    assert type_of((1, "")) == "Tuple[int, str]"
    assert type_of((1, (2,))) == ""
    assert type_of(List("List[int]")) == "List[int]"
    assert type_of(ScriptObject("m.Net")) == "m.Net"
    custom = CustomObject("xnnpack.LinearOpContext", None)
    assert type_of(custom) == "__torch__.torch.classes.xnnpack.LinearOpContext"
    assert type_of(object()) == ""
