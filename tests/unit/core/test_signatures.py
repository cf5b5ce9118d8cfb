from __future__ import annotations

import pytest

from builder.core.signatures import UNKNOWN, make_signature, parse_kind


def signature(*arguments, method="forward"):
    """Arguments as `(name, type)` or `(name, type, default)`, behind self."""
    rows = [(a[0], a[1], a[2] if len(a) > 2 else None) for a in arguments]
    return make_signature(method, [("self", "__torch__.Net", None), *rows], ["Tensor"])


@pytest.mark.parametrize("name", ["self", "this", "s"])
def test_the_module_itself_is_no_input_whatever_it_is_called(name):
    found = make_signature("forward", [(name, "__torch__.Net", None), ("x", "int", None)], [])
    assert str(found) == "forward(int x) -> None"
    assert make_signature("forward", [], []).parameters == "()"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Tensor", "Tensor"),
        ("List[int]", "int[]"),
        ("List[List[Tensor]]", "Tensor[][]"),
        ("Optional[Tensor]", "Tensor?"),
        ("Optional[List[float]]", "float[]?"),
        ("Tuple[Tensor, int]", "(Tensor, int)"),
        ("Dict[str, Tensor]", "Dict(str, Tensor)"),
        ("Dict(str, Tensor)", "Dict(str, Tensor)"),
        ("Union[float, int]", "Union(float, int)"),
        ("__torch__.nets.___torch_mangle_3.Pair", "Pair"),
        ("NoneType", "NoneType"),
    ],
)
def test_types_are_shown_as_schemas_write_them(text, shown):
    assert str(parse_kind(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "List[",
        "List[int",
        "List[int]]",
        "List[int)",
        "List[]",
        "int[]",
        "List[int],",
        "1int",
        "Tensor\x1b[2J",
        "Tensör",
        "List[" * 17 + "int" + "]" * 17,
        "List[" * 50_000 + "int" + "]" * 50_000,
        "Tuple[" + "int, " * 5000 + "int]",
    ],
)
def test_types_that_cannot_be_read_are_unknown(text):
    assert parse_kind(text) == UNKNOWN


def test_a_signature_reads_like_a_schema():
    found = signature(("x", "Tensor"), ("sizes", "List[int]"), ("scale", "float", 0.5))
    assert str(found) == "forward(Tensor x, int[] sizes, float scale=0.5) -> Tensor"


def test_names_cannot_control_a_terminal():
    found = make_signature("forward", [("self", "T", None), ("\x1b[2J", "\x1b", "\x1b")], ["\x07"])
    assert str(found) == "forward(? ?=...) -> ?"


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (-3, "-3"),
        (True, "True"),
        ("mean", "'mean'"),
        ("a\nb", "..."),
        ("x" * 62, repr("x" * 62)),
        ("x" * 63, "..."),
        ([1, [2.5], None, "a"], "[1, [2.5], None, 'a']"),
        ([], "[]"),
        ([1 << 63], "..."),
        ([10**5000], "..."),
        ([float("nan")], "..."),
        (["\0"], "..."),
        ([object()], "..."),
        (1j, "..."),
    ],
)
def test_defaults_are_shown_if_they_are_short_and_plain(default, shown):
    (argument,) = signature(("x", "Any", default)).arguments
    assert argument.default == shown
