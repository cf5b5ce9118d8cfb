from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from samples import make_reference_graph

from builder.core.artifacts import OperatorPrice, SizeReport
from builder.size.page import group_symbols, render_page

GRAPH = make_reference_graph()
REPORT = SizeReport(
    file=45_000,
    compressed=9000,
    sections={},
    parts={},
    units={},
    operators={
        "aten::neg": OperatorPrice(exclusive=7, inclusive=117, models=("<script>&.ptl",)),
        "aten::mul": OperatorPrice(exclusive=2005, inclusive=42_005, models=()),
    },
)


class Elements(HTMLParser):
    """Tags, attributes and texts, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))


@pytest.fixture(scope="module")
def page():
    return render_page("linux-x86_64", REPORT, GRAPH)


def test_the_boxes_are_the_whole_file():
    tree = group_symbols(GRAPH, 45_000)
    assert sum(sum(s.values()) for units in tree.values() for s in units.values()) == 45_000
    assert tree["ATen kernels"]["aten/src/ATen/native/<b>.cpp"]["kernel<T>&"] == 1000
    assert tree["interpreter"]["torch/a.cpp"]["common"] == 40_000


def test_every_element_is_closed_and_names_are_text(page):
    elements = Elements(page)
    assert elements.open == []
    assert ("title", "kernel<T>&: 1,000 bytes\nkept by aten::add.Tensor") in elements.texts
    assert ("td", "<script>&.ptl") in elements.texts
    assert [tag for tag, _ in elements.tags].count("script") == 1


def test_it_needs_no_network(page):
    assert not re.search(r"https?:|//|src=|href=|@import|url\(", page)


def test_every_box_says_what_it_is(page):
    tags = [tag for tag, _ in Elements(page).tags]
    assert tags.count("rect") == tags.count("title") - 1 >= 5
    assert 'role="img"' in page


def test_operators_are_sorted_by_price(page):
    cells = [text for tag, text in Elements(page).texts if tag == "td"]
    start = cells.index("aten::mul")
    assert cells[start : start + 4] == ["aten::mul", "2,005", "42,005", "aten::neg"]


def test_more_parts_than_can_be_told_apart_are_one():
    count = 300
    graph = replace(
        make_reference_graph(),
        names=("n",) * count,
        sizes=tuple(range(1, count + 1)),
        units=tuple(f"unit{number}" for number in range(count)),
        unit_of=tuple(range(count)),
        targets=((),) * count,
        operators={},
    )
    page = render_page("linux-x86_64", replace(REPORT, file=sum(graph.sizes)), graph)
    assert "201 smaller parts" in page
    assert "<td>unit299</td>" in page
    assert "<td>unit0</td>" not in page
