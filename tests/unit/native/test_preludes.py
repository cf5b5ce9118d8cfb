from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_tool, make_toolchain, make_unit

from builder.core.toolchain import Launcher
from builder.native.ninja import CompileFolder, Prefix, render_ninja
from builder.native.preludes import Prelude, choose_preludes, write_headers

ROOT = Path("/cache/native/0123")
RUNTIME = Path("/opt/builder/runtime")
HEADERS = ROOT / "preludes/0123"
FOLDER = CompileFolder(
    root=ROOT,
    ninja_file=Path("build.ninja"),
    objects="objects/size",
    prefixes=(Prefix(ROOT, "."), Prefix(RUNTIME, "torchlite")),
)
FLAGS = ("-Oz", "-I", f"{ROOT}/configured/aten/src")


def make_units(count, *flags, name="aten/src/ATen/unit{}.cpp", **more):
    return [
        make_unit(name.format(n), source=f"/s/{n}.cpp", flags=(*FLAGS, *flags), **more)
        for n in range(count)
    ]


def choose(units, **toolchain):
    return choose_preludes(units, make_toolchain(**toolchain), HEADERS, FOLDER.relocate)


def launcher(*names):
    return Launcher(tools=tuple(make_tool(name) for name in names))


def test_units_with_the_same_flags_begin_with_one_header():
    units = [*make_units(5), *make_units(7, "-DONLY", name="torch/csrc/unit{}.cpp")]
    chosen = choose(units)
    assert chosen.keys() == {unit.id for unit in units}
    assert len({one.compiled for one in chosen.values()}) == 2
    assert {one.header for one in chosen.values()} == {HEADERS / "aten.h"}
    assert chosen[units[0].id].flags == ("-Oz", "-I", "./configured/aten/src")


@pytest.mark.parametrize(
    ("units", "header"),
    [
        (make_units(5, "-DCPU_CAPABILITY=DEFAULT"), "kernels.h"),
        (make_units(5, name="c10/unit{}.cpp"), "c10.h"),
    ],
    ids=["kernels", "c10"],
)
def test_kernels_and_c10_have_headers_of_their_own(units, header):
    (prelude,) = {*choose(units).values()}
    assert prelude.header == HEADERS / header


@pytest.mark.parametrize(
    "units",
    [
        make_units(4),
        make_units(9, language="C"),
        make_units(9, name="third_party/unit{}.cpp"),
        make_units(9, name="torchlite/unit{}.cpp"),
        make_units(9, "-g"),
        make_units(9, "-gline-tables-only"),
    ],
    ids=[
        "few",
        "C",
        "another library",
        "builder's own, for another library",
        "debug",
        "lines",
    ],
)
def test_others_are_compiled_as_they_are(units):
    assert choose(units) == {}


def test_units_that_are_not_told_of_atens_headers_are_compiled_as_they_are():
    units = make_units(9, name="aten/src/ATen/native/quantized/cpu/qnnpack/unit{}.cc")
    assert choose([replace(unit, flags=("-O2",)) for unit in units]) == {}


def test_what_says_that_there_is_no_debug_information_does_no_harm():
    assert len(choose(make_units(5, "-g0"))) == 5


def test_headers_are_written_to_where_their_content_says(tmp_path):
    runtime = tmp_path / "runtime"
    (runtime / "preludes").mkdir(parents=True)
    (runtime / "preludes/aten.h").write_text("// one\n")
    first = write_headers(runtime, tmp_path)
    written = (first / "aten.h").stat()
    assert write_headers(runtime, tmp_path) == first
    assert (first / "aten.h").stat() == written
    (runtime / "preludes/aten.h").write_text("// another\n")
    second = write_headers(runtime, tmp_path)
    assert second != first
    names = {
        one.compiled for one in (Prelude(header=f / "aten.h", flags=()) for f in (first, second))
    }
    assert len(names) == 2


def test_a_program_that_sends_units_away_would_not_send_the_header():
    units = make_units(5)
    assert choose(units, launcher=launcher("ccache"))
    for names in (("distcc",), ("ccache", "distcc"), ("icecc",), ("sccache",)):
        assert choose(units, launcher=launcher(*names)) == {}


def test_a_unit_with_a_list_of_operators_begins_as_others_do():
    listed = ("-fconstexpr-steps=100000000", "-include", f"{ROOT}/limits/a.h")
    limited = make_units(1, *listed, name="torch/csrc/limited{}.cpp")
    chosen = choose([*make_units(4), *limited])
    assert len(chosen) == 5
    assert len({*chosen.values()}) == 1
    text = render_ninja(limited, make_toolchain(), FOLDER, chosen)
    assert "-include ./limits/a.h -include-pch" in text


def test_units_of_the_runtime_are_like_those_of_pytorch():
    units = make_units(5, '-DTORCHLITE_PYTORCH_VERSION="2.6.0"', name="torchlite-core/{}.cpp")
    assert len(choose(units)) == 5


def test_an_old_compiler_has_no_such_headers():
    old, new = ("Android clang version 9.0.8", "Android clang version 12.0.8")
    assert choose(make_units(5), cxx=make_tool("clang++", old)) == {}
    assert choose(make_units(5), cxx=make_tool("clang++", new))


def test_the_ninja_file():
    units = [*make_units(5), make_unit("torchlite/own.cpp", source=f"{RUNTIME}/own.cpp")]
    chosen = choose(units)
    text = render_ninja(units, make_toolchain(), FOLDER, chosen)
    compiled = chosen[units[0].id].compiled
    assert f"build {compiled}: _AHEAD ./preludes/0123/aten.h\n  flags = -Oz" in text
    assert text.count(": CXX_AHEAD ") == 5
    assert text.count(f" -include-pch {compiled}\n") == 5
    assert "build objects/size/torchlite/own.cpp.o: CXX torchlite/own.cpp" in text
    # No object depends on the file, which is gone when the run ends.
    assert compiled not in "".join(line for line in text.splitlines() if line.startswith("build o"))
