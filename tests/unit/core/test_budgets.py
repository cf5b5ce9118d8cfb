from __future__ import annotations

import pytest

from builder.core.budgets import Budget, find_budget


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
