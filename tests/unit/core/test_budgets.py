from __future__ import annotations

import pytest

from builder.core.budgets import Budget, find_budget, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123456", 123_456),
        ("12 B", 12),
        ("2.5MB", 2_500_000),
        ("2.5 mb", 2_500_000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("1.5MiB", 1_572_864),
        ("0.1MB", 100_000),
        ("1.0000009KB", 1000),
        ("2GiB", 2 << 30),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "-1", "1e6", "2.5M", "2,5MB", "1 KB 2", "inf", ".5MB", "\u0663MB"]
)
def test_other_texts_are_no_sizes(text):
    with pytest.raises(ValueError, match="is not a size; write"):
        parse_size(text)


@pytest.mark.parametrize("text", ["2.5", "2.5 B", "0.5b", "0.0001KB", "0.0"])
def test_a_fraction_of_a_byte_is_a_unit_forgotten(text):
    with pytest.raises(ValueError, match="is not a whole number of bytes; write"):
        parse_size(text)


def test_budgets():
    assert Budget.parse("2.5MB") == Budget(abi=None, limit=2_500_000, text="2.5MB")
    own = Budget.parse("linux-x86_64=1KiB")
    assert own == Budget(abi="linux-x86_64", limit=1024, text="linux-x86_64=1KiB")
    with pytest.raises(ValueError, match="names no ABI"):
        Budget.parse("=1KB")


def test_the_budget_of_the_abi_comes_before_that_of_all():
    budgets = [Budget.parse(text) for text in ("1KB", "x=3KB", "x=2KB", "y=9KB", "2KB")]
    found = {abi: find_budget(budgets, abi) for abi in ("x", "y", "z")}
    assert {abi: budget.text for abi, budget in found.items() if budget} == {
        "x": "x=2KB",
        "y": "y=9KB",
        "z": "1KB",
    }
    assert find_budget(budgets[1:2], "z") is None
