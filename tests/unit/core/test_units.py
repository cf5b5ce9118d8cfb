from __future__ import annotations

from samples import make_graph

from builder.core.units import SymbolIndex

INDEX = SymbolIndex(defined_in={"at::f": ("a.cpp", "b.cpp"), "at::cpu::gone": ()})


def test_names_are_found_as_they_are():
    assert INDEX.find_units("at::f") == ("a.cpp", "b.cpp")


def test_unknown_names():
    for name in ("at::g", "at::cpu", "at::cpu::gone", "f", ""):
        assert INDEX.find_units(name) == ()


def test_a_graph_counts_its_units():
    assert len(make_graph("a.cpp", "b.cpp")) == 2
