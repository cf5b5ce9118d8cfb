from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from samples import make_graph, make_list, make_plan, make_unit

from builder.core.cores import Core
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.plan import Interface
from builder.core.selection import Selection
from builder.native.build_folders import Layout
from builder.native.build_units import (
    REGISTRATIONS_UNIT,
    RUNNER_UNIT,
    limit_dtypes,
    list_plain_units,
    make_units,
)
from builder.native.interfaces import LIBRARIES
from builder.sources.releases import load_release
from builder.system.folders import data_folder

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
    def make(*names: str, prims="one", quantised="two", runtime=Path("/runtime"), **more):
        layout = Layout.of(tmp_path, make_plan(operator_list=make_list(*names)))
        selection = Selection(
            registrations=f"// {names}\n",
            always=frozenset({PRIMS}),
            limits={PRIMS: f"// {prims}\n", QUANTISED: f"// {quantised}\n"},
        )
        units = make_units(
            GRAPH,
            selection,
            layout,
            runtime=runtime,
            version="2.6.0",
            **more,
        )
        return units, layout

    return make


def test_own_units_are_compiled_like_upstreams(build):
    units, layout = build("aten::relu")
    api = units.graph.units["torchlite/torchlite.cpp"]
    assert api.flags[:2] == ("-DLIKE_UPSTREAM", "-Os")
    assert "-I/runtime" in api.flags
    assert '-DTORCHLITE_PYTORCH_VERSION="2.6.0"' in api.flags
    assert units.graph.units[RUNNER_UNIT].source == "/runtime/runner.cpp"
    registrations = units.graph.units[units.resolve(REGISTRATIONS_UNIT)]
    assert Path(registrations.source).read_text() == "// ('aten::relu',)\n"
    assert Path(registrations.source).is_relative_to(layout.registrations)


def test_the_api_is_told_of_backends_and_nothing_else_is(build):
    units, _ = build("aten::relu", backends=(load_release().backends["metal"],))
    told = {u.id for u in units.graph.units.values() if "-DTORCHLITE_METAL" in u.flags}
    assert told == {f"torchlite/{name}" for name in LIBRARIES[Interface.C].units}
    without, _ = build("aten::relu")
    assert not any("METAL" in f for u in without.graph.units.values() for f in u.flags)


def test_a_limited_unit_is_a_variant_and_the_others_stay_as_they_are(build):
    units, layout = build("aten::relu")
    variant = units.graph.units[units.resolve(PRIMS)]
    assert variant.id.startswith(f"{PRIMS}@")
    assert variant.source == GRAPH.units[PRIMS].source
    header = Path(variant.flags[-1])
    assert variant.flags[-2] == "-include"
    assert header.read_text() == "// one\n"
    assert header.parent == layout.limits
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
    others = ("the runner", "for libstdc++", "for libc++", "the registrations")
    assert units.known == len(GRAPH) + len(LIBRARIES[Interface.C].units) + len(others)


def test_units_of_the_own_core_stand_for_upstreams(build, tmp_path):
    source = tmp_path / "core/instead/c10/core/Device.cpp"
    source.parent.mkdir(parents=True)
    source.write_text("// ours\n")
    units, _ = build("aten::relu", runtime=tmp_path, core=Core.OWN)
    ours = units.graph.units[units.resolve("c10/core/Device.cpp")]
    assert ours.source == str(source)
    assert ours.flags[: len(GRAPH.units["c10/core/Device.cpp"].flags)] == (
        GRAPH.units["c10/core/Device.cpp"].flags
    )
    upstreams, _ = build("aten::relu", runtime=tmp_path)
    assert upstreams.resolve("c10/core/Device.cpp") == "c10/core/Device.cpp"


def test_plain_kernels_are_for_few_dtypes(build, tmp_path, monkeypatch):
    # Which of PyTorch's own units are limited is told by their text, which is not here.
    monkeypatch.setattr("builder.native.build_units.limit_dtypes", lambda *_: {})
    source = tmp_path / "core/plain/c10/core/Device.cpp"
    source.parent.mkdir(parents=True)
    source.write_text("// by loops\n")
    (tmp_path / "selected_dtypes.h").write_text("// the check\n")
    few, more = DtypeSet.of(("float32", "bool")), DtypeSet.of(("float32", "uint8"))
    units, _ = build("aten::relu", runtime=tmp_path, core=Core.OWN, dtypes=few)
    plain = units.graph.units[units.resolve("c10/core/Device.cpp")]
    assert plain.source == str(source)
    header = Path(plain.flags[-1])
    assert header.read_text() == "#define TORCHLITE_DTYPES 0x840ULL\n// the check\n"
    names = list_plain_units(Core.OWN, few)
    assert {Path(units.graph.units[name].source).parent for name in names} == {
        tmp_path / "core/plain"
    }
    for core, dtypes in ((Core.OWN, more), (Core.OWN, EVERYTHING), (Core.UPSTREAM, few)):
        units, _ = build("aten::relu", runtime=tmp_path, core=core, dtypes=dtypes)
        assert units.resolve("c10/core/Device.cpp") == "c10/core/Device.cpp"
        assert not list_plain_units(core, dtypes)


@pytest.mark.parametrize("where", ["instead", "plain/aten"])
def test_each_unit_that_stands_for_another_has_one(where):
    folder = data_folder("cmake") / "runtime/core" / where.partition("/")[0]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*/*.c*")}
    assert names
    lines = (load_release().folder / "symbols.txt").read_text().splitlines()
    # The index was made for x86_64, which lacks this one.
    of_arm = {"third_party/cpuinfo/src/arm/linux/chipset.c"}
    assert names - of_arm <= {line.removeprefix("= ") for line in lines if line.startswith("= ")}


def test_changed_sources_of_ours_are_compiled_otherwise_whatever_their_age(build, tmp_path):
    import os

    runner = tmp_path / "runtime/runner.cpp"
    runner.parent.mkdir()
    flags = []
    for text in ("int one;", "int two;"):
        runner.write_text(text)
        os.utime(runner, (1, 1))
        units, _ = build("aten::relu", runtime=runner.parent)
        flags.append(units.graph.units[RUNNER_UNIT].flags)
    assert flags[0] != flags[1]


def test_an_unchanged_plan_touches_no_file(build):
    import os

    _, layout = build("aten::relu")
    written = [path for path in layout.root.rglob("*") if path.is_file()]
    assert len(written) == 3
    for path in written:
        os.utime(path, (1, 1))
    build("aten::relu")
    assert {path.stat().st_mtime for path in written} == {1}


KERNEL = "generated/aten/src/ATen/native/cpu/CopyKernel.cpp.DEFAULT.cpp"
TORCHGENS = "generated/aten/src/ATen/UfuncCPUKernel_add.cpp.DEFAULT.cpp"
DISPATCHING = "aten/src/ATen/native/Fill.cpp"
CHECK = ("-include", "/limits/0123.h")


@pytest.fixture
def graph(tmp_path):
    """Units with texts: three that dispatch by dtype, three that do not."""

    def unit(unit_id: str, text: str, **changes):
        source = tmp_path / Path(unit_id).name
        source.write_text(text)
        return dataclasses.replace(make_unit(unit_id), source=str(source), **changes)

    return make_graph(
        unit(KERNEL, '#include "ATen/native/cpu/CopyKernel.cpp"\n', generated=True),
        unit(TORCHGENS, '#include "aten/src/ATen/UfuncCPUKernel_add.cpp"\n', generated=True),
        unit(DISPATCHING, 'AT_DISPATCH_V2(dtype, "fill_out", AT_WRAP([&] {}), kHalf);\n'),
        unit("aten/src/ATen/native/Plain.cpp", "int plain() { return 0; }\n"),
        unit("aten/src/ATen/native/fill.S", "# AT_DISPATCH_V2\n", language="ASM"),
        unit("torch/csrc/Fill.cpp", "AT_DISPATCH_V2\n"),
    )


def test_everything_takes_todays_commands(graph):
    assert limit_dtypes(graph, EVERYTHING, CHECK) == {}


def test_units_that_dispatch_by_dtype_are_limited(graph):
    limited = limit_dtypes(graph, DtypeSet.of(["uint8", "float32"]), CHECK)
    assert limited.keys() == {KERNEL, TORCHGENS, DISPATCHING}
    variant, original = limited[DISPATCHING], graph.units[DISPATCHING]
    assert variant.id == f"{DISPATCHING}@dtypes-41"
    assert variant.flags == (
        *original.flags,
        *CHECK,
    )
    assert variant.source == original.source


def test_a_unit_may_be_limited_in_dtypes_and_in_what_it_registers(graph, tmp_path):
    selection = Selection(registrations="", limits={DISPATCHING: "// only\n"})
    (tmp_path / "selected_dtypes.h").write_text("// the check\n")
    whole = make_graph(
        *graph.units.values(), make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-Os",))
    )
    units = make_units(
        whole,
        selection,
        Layout.of(tmp_path, make_plan()),
        runtime=tmp_path,
        version="2.6.0",
        dtypes=DtypeSet.of(["bool"]),
    )
    flags = units.graph.units[units.resolve(DISPATCHING)].flags
    assert flags.count("-include") == 2
    texts = [Path(flag).read_text() for flag in flags if flag.endswith(".h")]
    assert texts == ["#define TORCHLITE_DTYPES 0x800ULL\n// the check\n", "// only\n"]
    assert units.graph.units[units.resolve(KERNEL)].id.endswith("@dtypes-800")
