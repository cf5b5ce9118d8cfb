from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from samples import make_plan, make_toolchain

from builder import __version__
from builder.core.artifacts import CarriedLibrary
from builder.core.targets import parse_target
from builder.core.toolchain import AppleSdk, GnuLibraries
from builder.platforms.contents import find_carried, find_components
from builder.sources.releases import load_release

READ = ("c10/a.cpp", "third_party/fmt/include/fmt/core.h")
MAP = """\
             VMA              LMA     Size Align Out     In      Symbol
            1000             1000       30     8 .text
            1000             1000       10     8         /gcc/12/libstdc++.a(vector.o):(.text.f)
            1010             1010        0     8         /gcc/12/libgcc.a(empty.o):(.text)
            1020             1020       10     8         /cache/c10/a.cpp.o:(.text.g)
"""
GNU = make_toolchain(gnu=GnuLibraries(libstdcxx=20220819, glibc=(2, 36)))


@pytest.fixture
def make_linked(tmp_path):
    map_file = tmp_path / "lib.map"
    map_file.write_text(MAP)

    def make(target="linux-x86_64", inputs=READ, features=(), toolchain=GNU, units_map=None):
        located = [SimpleNamespace(backend=SimpleNamespace(sources=name)) for name in features]
        plan = make_plan(target=parse_target(target), release=load_release())
        return SimpleNamespace(
            build=SimpleNamespace(features=located, toolchain=toolchain, plan=plan),
            linked=SimpleNamespace(inputs=inputs, map_file=map_file, units_map=units_map),
        )

    return make


def test_sources_that_were_read_and_libraries_that_were_taken_from(make_linked):
    found = find_components(make_linked())
    assert [(one.name, one.version) for one in found] == [
        ("builder", __version__),
        ("fmt", "10.1.1"),
        ("libstdc++", "20220819"),
        ("pytorch", "2.6.0"),
    ]


def test_libraries_that_were_optimised_away_into_one_object_are_known_from_the_link_before(
    make_linked, tmp_path
):
    before = tmp_path / "lib.units.map"
    before.write_text(MAP.replace("libstdc++.a(vector.o)", "libfoo.a(a.o)"))
    names = {one.name for one in find_components(make_linked(units_map=before))}
    assert {"libstdc++", "libfoo"} <= names


def test_a_library_beside_the_runtime_is_one_of_the_toolchains():
    shared = Path("/plan/libc++_shared.so")
    linked = SimpleNamespace(carried=(CarriedLibrary(library=shared, unstripped=shared),))
    one = SimpleNamespace(linked=linked, build=SimpleNamespace(toolchain=GNU))
    assert [component.name for component in find_carried(one)] == ["libc++"]


def test_optional_sources_count_where_they_are_built_with(make_linked):
    read = (*READ, "third_party/torchvision/torchvision/csrc/ops/nms.cpp")
    with_it = find_components(make_linked(inputs=read, features=("torchvision",)))
    assert "torchvision" in {one.name for one in with_it}
    assert "torchvision" not in {one.name for one in find_components(make_linked())}


@pytest.mark.parametrize("is_open", [True, False])
def test_for_apple_open_headers_are_a_source_and_the_c_plus_plus_library_is_the_systems(
    make_linked, is_open
):
    sdk = AppleSdk(root=Path("/sdk"), name="open", newest=170000, is_open=is_open)
    linked = make_linked("ios-arm64", toolchain=make_toolchain(sdk=sdk))
    names = {one.name for one in find_components(linked)}
    assert names == {"builder", "fmt", "pytorch", *(["darwin-headers"] if is_open else [])}
