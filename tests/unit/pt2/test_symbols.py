"""Expressions of sizes in both of their notations."""

from __future__ import annotations

import pytest

from builder.pt2.symbols import parse_expression


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("s0", 5, "s0"),
        ("7", 7, "7"),
        ("2*s0 + 1 - s1//2", 10, "((2*s0)+1)+(-1*(s1//2))"),
        ("-s0**2", -25, "-1*Pow(s0, 2)"),
        ("s0 - 1 - 1", 3, "(s0+-1)+-1"),
        ("(s0 + 1) % s1", 0, "(s0+1)%s1"),
        ("Symbol('s0', integer=True)", 5, "s0"),
        ("Mul(Integer(2), Symbol('s0', positive=True, integer=True))", 10, "2*s0"),
        ("FloorDiv(Add(Symbol('s0'), Integer(-1)), Integer(3))", 1, "(s0+-1)//3"),
        (
            "Max(Integer(1), Min(Symbol('s0'), Symbol('s1')), evaluate=False)",
            3,
            "Max(1, Min(s0, s1))",
        ),
        ("PythonMod(Symbol('s0'), Integer(4))", 1, "s0%4"),
    ],
)
def test_expressions(text, value, shown):
    expression = parse_expression(text)
    assert expression.evaluate({"s0": 5, "s1": 3}) == value
    assert str(expression) == shown


def test_names_of_symbols():
    assert sorted(parse_expression("2*s0 + Max(s1, s0)").symbols) == ["s0", "s0", "s1"]


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "* 2", "f(", "f(1 2)", "(1", "1)", "a.b", "a[0]", "'s0'", "Symbol(s0)",
     "Symbol('a b')", "Symbol('s0'", "1 1", "a=b", "=", "f(a=)",
     "1" * 20, "(" * 70 + "1" + ")" * 70, "-" * 99 + "1",
     "1+" * 3000 + "1", "1+" * 90 + "1"],
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_expression(text)


@pytest.mark.parametrize(
    "text", ["s9", "Unknown(1)", "1 // 0", "1 % 0", "2**99", "9**9**9", "4611686018427387904*2",
             "FloorDiv(1)", "2**(0-1)"]
)  # fmt: skip
def test_values_that_cannot_be_computed(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_expression(text).evaluate({"s0": 1})
