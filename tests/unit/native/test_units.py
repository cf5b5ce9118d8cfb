from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_graph, make_list, make_plan, make_unit

from builder.core.selection import Selection
from builder.native.layout import Layout
from builder.native.units import API_UNIT, REGISTRATIONS_UNIT, RUNNER_UNIT, make_units

PRIMS = "torch/csrc/jit/runtime/register_prim_ops.cpp"
QUANTISED = "aten/src/ATen/native/quantized/library.cpp"
GRAPH = make_graph(
    make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-DLIKE_UPSTREAM", "-Os")),
    PRIMS,
    QUANTISED,
    "c10/core/Device.cpp",
)


@pytest.fixture
def build(tmp_path):
    def make(*names: str, prims: str = "one", quantised: str = "two"):
        layout = Layout.of(tmp_path, make_plan(operator_list=make_list(*names)))
        selection = Selection(
            registrations=f"// {names}\n",
            always=frozenset({PRIMS}),
            allowlists={PRIMS: f"// {prims}\n", QUANTISED: f"// {quantised}\n"},
        )
        units = make_units(GRAPH, selection, layout, runtime=Path("/runtime"), version="2.6.0")
        return units, layout

    return make


def test_own_units_are_compiled_like_upstreams(build):
    units, layout = build("aten::relu")
    api = units.graph.units[API_UNIT]
    assert api.flags[:2] == ("-DLIKE_UPSTREAM", "-Os")
    assert "-I/runtime" in api.flags
    assert '-DTORCHLITE_PYTORCH_VERSION="2.6.0"' in api.flags
    assert units.graph.units[RUNNER_UNIT].source == "/runtime/runner.cpp"
    registrations = units.graph.units[units.resolve(REGISTRATIONS_UNIT)]
    assert Path(registrations.source).read_text() == "// ('aten::relu',)\n"
    assert Path(registrations.source).is_relative_to(layout.plan)


def test_a_limited_unit_is_a_variant_and_the_others_stay_as_they_are(build):
    units, layout = build("aten::relu")
    variant = units.graph.units[units.resolve(PRIMS)]
    assert variant.id.startswith(f"{PRIMS}@")
    assert variant.source == GRAPH.units[PRIMS].source
    header = Path(variant.flags[-1])
    assert variant.flags[-2] == "-include"
    assert header.read_text() == "// one\n"
    assert header.parent == layout.allowlists
    assert units.resolve("c10/core/Device.cpp") == "c10/core/Device.cpp"
    assert units.graph.units["c10/core/Device.cpp"] is GRAPH.units["c10/core/Device.cpp"]


def test_variants_are_shared_by_plans_with_the_same_sublist_and_no_others(build):
    one, _ = build("aten::relu", "aten::len.t")
    other, _ = build("aten::tanh", "aten::len.t", quantised="three")
    assert one.resolve(PRIMS) == other.resolve(PRIMS)
    assert one.graph.units[one.resolve(PRIMS)] == other.graph.units[other.resolve(PRIMS)]
    assert one.resolve(QUANTISED) != other.resolve(QUANTISED)
    assert one.resolve(REGISTRATIONS_UNIT) != other.resolve(REGISTRATIONS_UNIT)


def test_variants_are_not_counted_twice(build):
    units, _ = build("aten::relu")
    assert units.known == len(GRAPH) + 3


def test_an_unchanged_plan_touches_no_file(build):
    import os

    _, layout = build("aten::relu")
    written = [path for path in layout.root.rglob("*") if path.is_file()]
    assert len(written) == 3
    for path in written:
        os.utime(path, (1, 1))
    build("aten::relu")
    assert {path.stat().st_mtime for path in written} == {1}
