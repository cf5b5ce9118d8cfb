from __future__ import annotations

from samples import make_graph

from builder.core.units import SymbolIndex

INDEX = SymbolIndex(
    defined_in={"at::f": ("a.cpp", "b.cpp"), "at::cpu::special": ("c.cpp",), "at::cpu::gone": ()},
    namespaces={"at::cpu": "RegisterCPU.cpp"},
)


def test_exact_names_come_before_namespaces():
    assert INDEX.find_units("at::f") == ("a.cpp", "b.cpp")
    assert INDEX.find_units("at::cpu::special") == ("c.cpp",)
    assert INDEX.find_units("at::cpu::add") == ("RegisterCPU.cpp",)
    assert INDEX.find_units("at::cpu::gone") == ("RegisterCPU.cpp",)


def test_unknown_names():
    for name in ("at::g", "at::cpu", "at::cpu::deep::add", "cpu::add", ""):
        assert INDEX.find_units(name) == ()


def test_a_graph_counts_its_units():
    assert len(make_graph("a.cpp", "b.cpp")) == 2
