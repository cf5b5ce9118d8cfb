"""What is proposed for a library that is too large, with its price."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_plan

from builder.cli.hints import show_hint
from builder.core.artifacts import OperatorPrice, SizeReport
from builder.core.budgets import Budget, Budgets
from builder.core.dtypes import DtypeSet
from builder.core.plan import Flavour, Profile
from builder.core.targets import parse_target
from builder.errors import Hint, VerificationError
from builder.size.budget_check import refuse_excess
from builder.size.reference_graph import ReferenceGraph
from builder.size.savings import list_savings, load_savings, share_of_models

ROOT = Path(__file__).parents[3]
ANDROID = parse_target("arm64-v8a")
SMALL = Flavour(strip_error_messages=True)
FLOAT = DtypeSet.of(["float32"])
# Two operators with code of their own (10, 20), one that shares (3) with the first, and the core.
GRAPH = ReferenceGraph(
    names=("core", "a", "b", "c", "shared"),
    sizes=(100, 10, 20, 5, 3),
    units=("u",),
    unit_of=(0,) * 5,
    targets=((), (0, 4), (0,), (4,), ()),
    roots=(0,),
    operators={"aten::a": 1, "aten::b": 2, "aten::c": 3},
)


def make_report(**models: tuple[str, ...]) -> SizeReport:
    prices = {
        f"aten::{name}": OperatorPrice(exclusive=1, inclusive=1, models=several)
        for name, several in models.items()
    }
    return SizeReport(file=5000, compressed=9, sections={}, parts={}, units={}, operators=prices)


def show(plan, shares=None) -> list[str]:
    return [show_hint(one, "build") for one in list_savings(plan, shares or {})]


@pytest.mark.parametrize("name", sorted(load_savings()))
def test_the_recorded_numbers_are_those_of_the_pages(name):
    saving = load_savings()[name]
    page = (ROOT / saving.source).read_text()
    for before, after in (saving.bytes, saving.compressed):
        assert after < before
        assert f"{before:,}" in page
        assert f"{after:,}" in page


def test_the_rows_of_the_pages_are_the_right_ones():
    rows = (ROOT / "benchmarks/options.md").read_text().splitlines()
    tables = [[cell.strip() for cell in row.split("|")[1:]] for row in rows if row[:1] == "|"]
    known = {cells[0]: (cells[1], cells[3]) for cells in tables}
    for name, before, after in (
        ("profile", "profile speed", "profile size"),
        ("strip_error_messages", "profile size", "profile size, --strip-error-messages"),
        ("dtypes", "upstream's flags", "dtypes of the model"),
    ):
        saving = load_savings()[name]
        measured = zip(saving.bytes, saving.compressed, strict=True)
        assert [(f"{b:,}", f"{c:,}") for b, c in measured] == [known[before], known[after]]


def test_every_setting_that_is_left_is_proposed_with_its_price():
    plan = make_plan(target=ANDROID, flavour=Flavour(profile=Profile.SPEED))
    profile, strip, dtypes, level = show(plan)
    assert profile.startswith("--profile size: 50 % where it was measured (MobileNetV2 on linux")
    assert strip.startswith("--strip-error-messages: 6 % where it was measured")
    assert dtypes.startswith("--dtypes float32,int64,bool, or those that your models need: 19 %")
    assert plan.dtypes_reason in dtypes
    assert level.startswith("--min-api 23: 7 % where it was measured")
    assert "benchmarks/options.md" in strip
    assert "docs/explanation/sizes.md" in level


def test_what_is_chosen_already_is_not_proposed():
    newer = replace(ANDROID, min_os=23)
    assert show(make_plan(target=newer, flavour=SMALL, dtypes=FLOAT)) == []
    assert show(make_plan(flavour=SMALL, dtypes=FLOAT)) == []
    debug = replace(SMALL, profile=Profile.DEBUG)
    (one,) = show(make_plan(flavour=debug, dtypes=FLOAT))
    assert one == "--profile size: the profile debug is not for apps"


def test_models_are_priced_by_the_operators_that_only_they_need():
    report = make_report(a=("one.ptl",), b=("one.ptl", "two.ptl"), c=("two.ptl",))
    # What `a` and `c` share stays when either goes.
    assert share_of_models(report, GRAPH) == {"one.ptl": 10, "two.ptl": 5}
    assert show(make_plan(flavour=SMALL, dtypes=FLOAT), {"one.ptl": 10, "two.ptl": 5000}) == [
        "leave out two.ptl: 5,000 bytes of this library",
        "leave out one.ptl: 10 bytes of this library",
    ]
    report = make_report(a=("one.ptl",), b=("one.ptl", "two.ptl"), c=("one.ptl",))
    assert share_of_models(report, GRAPH) == {"one.ptl": 18}
    assert share_of_models(make_report(a=("one.ptl",)), GRAPH) == {}


def test_the_error_has_all_of_it_and_ends_with_a_command():
    budgets = Budgets(max_size=(Budget.parse("1KB"),))
    report = make_report(a=("one.ptl",))
    savings = list_savings(make_plan(flavour=SMALL), {"one.ptl": 10})
    with pytest.raises(VerificationError, match="4,000 more than the limit 1KB") as caught:
        refuse_excess(report, budgets, abi="x", root=Path("out/x"), savings=savings)
    assert isinstance(caught.value.hint, Hint)
    lines = show_hint(caught.value.hint, "build").splitlines()
    assert lines[0] == "what makes the library smaller:"
    assert lines[1].startswith("--dtypes float32,int64,bool")
    assert lines[2:] == [
        "leave out one.ptl: 10 bytes of this library",
        "prices of operators: builder size out/x --what-if aten::a",
    ]
    refuse_excess(report, Budgets(), abi="x", root=Path("out/x"), savings=savings)
