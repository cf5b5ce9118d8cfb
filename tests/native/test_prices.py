"""What an operator is said to cost, beside the build that goes without it."""

import json
import re

import pytest

from .conftest import ABI, drop_operators, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

SHARE, BYTES = 0.05, 512
"""What a price may be off by: code that the linker folds, merged strings, padding."""


@pytest.mark.parametrize(
    ("operators", "least"),
    [(("aten::std.dim",), 20_000), (("aten::tanh",), 5_000), (("aten::keys.str",), 500)],
)
def test_the_price_is_what_goes(built, tmp_path, operators, least):
    asked = [word for operator in operators for word in ("--what-if", operator)]
    price = json.loads(run_builder("size", built.out, *asked, "--json").stdout)["what_if"]["bytes"]
    less = drop_operators(built.root, tmp_path / "less.yaml", *operators)
    dtypes = ",".join(json.loads((built.root / "manifest.json").read_text())["dtypes"])
    # Above its budget, the runtime is left for inspection.
    budget = ("--max-size", f"{ABI}=1MB")
    wanted = ("build", less, "--abi", ABI, "-o", tmp_path, "--dtypes", dtypes, *budget)
    said = run_builder(*wanted, check=False)
    assert said.returncode == 8
    assert re.search(rf"more than the limit {ABI}=1MB allows", said.stderr)
    assert (tmp_path / ABI / "manifest.json").is_file()
    smaller = (tmp_path / ABI / "lib/libtorchlite.so").stat().st_size
    gone = built.library.stat().st_size - smaller
    assert gone > least
    assert abs(price - gone) <= SHARE * gone + BYTES


def test_every_operator_has_a_price(built):
    report = json.loads(run_builder("size", built.out, "--json").stdout)["runtime"]
    manifest = json.loads((built.root / "manifest.json").read_text())
    assert set(report["operators"]) == set(manifest["operators"])
    assert report["operators"]["aten::tanh"]["models"] == ["control_flow.ptl"]
    for price in report["operators"].values():
        assert 0 < price["exclusive"] < price["inclusive"] < report["file"]


def test_the_page_is_one_file(built, tmp_path):
    page = tmp_path / "size.html"
    run_builder("size", built.out, "--html", page)
    text = page.read_text()
    assert "aten::adaptive_avg_pool2d" in text
    assert not re.search(r"https?:", text)
