from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_reference_graph

from builder.size import reference_graph as references
from builder.size.reference_graph import parse_references, render_references

GRAPH = make_reference_graph()


def change(**changes: object) -> bytes:
    value = json.loads(gzip.decompress(render_references(GRAPH)))
    return gzip.compress(json.dumps(value | changes).encode())


def test_a_graph_is_read_as_it_was_written():
    assert parse_references(render_references(GRAPH)) == GRAPH


@given(st.lists(st.lists(st.integers(0, 7), unique=True).map(sorted), min_size=8, max_size=8))
def test_any_references_come_back(rows):
    graph = replace(
        GRAPH,
        names=("n",) * 8,
        sizes=(1,) * 8,
        unit_of=(0,) * 8,
        operators={},
        targets=tuple(map(tuple, rows)),
    )
    assert parse_references(render_references(graph)) == graph


def test_equal_graphs_are_equal_bytes_of_no_date():
    data = render_references(GRAPH)
    assert data == render_references(make_reference_graph())
    assert data[4:8] == bytes(4)  # RFC 1952: MTIME


def test_endless_names_are_cut():
    long = replace(GRAPH, names=("x" * 5000, *GRAPH.names[1:]))
    assert len(parse_references(render_references(long)).names[0]) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        render_references(GRAPH)[:-9],
        gzip.compress(b"[]"),
        gzip.compress(b"\xff"),
        gzip.compress(b"[" * 100_000),
        change(schema=99),
        change(roots=[9]),
        change(roots=[-1]),
        change(operators={"aten::relu": "0"}),
        change(unit_of=[7] * 9),
        change(names=["one"]),
        change(degrees=[1]),
        change(sizes=5),
    ],
)
def test_other_bytes_are_no_graph(data):
    with pytest.raises(ValueError):  # noqa: PT011 - json and gzip have their own messages
        parse_references(data)


@pytest.mark.parametrize(
    "data",
    [
        change(names=[1] * 9),
        change(names="nine name"),
        change(sizes=[1.5] * 9),
        change(sizes=[10**400] * 9),
        change(sizes=[True] * 9),
        change(units=[1, 2]),
        change(units={}),
        change(unit_of=[True] * 9),
        change(degrees=["1"] * 9),
        change(degrees=[-1] * 9),
        change(degrees=[10**30] + [0] * 8),
        change(targets=[10**30] * 8),
        change(targets=None),
        change(roots=[None]),
        change(operators=[["aten::add", 1]]),
        change(operators={"aten::add": True}),
        change(schema="1"),
        change(schema=None),
        gzip.compress(b'{"names": [' + b"[]," * 1000 + b"[]]}"),
    ],
)
def test_values_of_other_types_are_value_errors(data):
    with pytest.raises(ValueError):  # noqa: PT011 - json and gzip have their own messages
        parse_references(data)


def test_damage_inside_of_the_compression_is_a_value_error():
    whole = render_references(GRAPH)
    refused = 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x55
        try:
            parse_references(bytes(data))
        except ValueError:
            refused += 1
    assert refused > len(whole) / 2


def test_what_unpacks_to_much_more_than_it_has_is_refused(monkeypatch):
    data = gzip.compress(b" " * 3_000_000 + gzip.decompress(render_references(GRAPH)))
    with pytest.raises(ValueError, match="unpacks to more than"):
        parse_references(data)
    monkeypatch.setattr(references, "_UNPACKED_FREE", 4_000_000)
    assert parse_references(data) == GRAPH
