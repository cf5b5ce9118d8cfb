from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.operators import Operator
from builder.core.registration_names import parse_registration, registration_name

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
OPERATORS = st.builds(
    lambda space, name, overload: Operator(f"{space}::{name}", overload),
    NAMES,
    NAMES,
    st.from_regex(r"[A-Za-z0-9_]{0,9}", fullmatch=True),
)


@given(OPERATORS)
def test_the_operator_comes_back(operator):
    name = registration_name(operator)
    assert name.isidentifier()
    for symbol in (name, f"{name}.llvm.123", f"_ZL{len(name)}{name}"):
        assert parse_registration(symbol) == operator


@pytest.mark.parametrize(
    "symbol", ["", "main", "register_operator_", "register_operator_xyz", "_ZN2at3addEv"]
)
def test_other_symbols_register_nothing(symbol):
    assert parse_registration(symbol) is None
