"""The facts of the release that ships with builder, beside its sources where they are fetched."""

from __future__ import annotations

import re

import pytest

from builder import api
from builder.selection.upgraders import read_upgraders
from builder.sources.releases import load_release

RELEASE = load_release()
UPSTREAMS = sorted(
    name
    for name in RELEASE.facts.cmake_options
    if not name.startswith(("CMAKE_", "CXX_"))  # CMake's own; a macro puts the latter together
)


@pytest.fixture
def tree():
    tree = api.find_sources(RELEASE)
    if tree is None:
        pytest.skip("the sources are not fetched")
    return tree.root


def test_the_bytecode_versions_are_upstreams(tree):
    text = (tree / "caffe2/serialize/versions.h").read_text()
    found = {
        name: int(number, 16)
        for name, number in re.findall(r"k(Min|Max)SupportedBytecodeVersion = (0x\w+?)L;", text)
    }
    readable = RELEASE.facts.bytecode
    assert found == {"Min": readable.min, "Max": readable.max}


@pytest.mark.parametrize("name", UPSTREAMS)
def test_upstreams_cmake_reads_each_option(tree, name):
    files = (tree / "CMakeLists.txt", *(tree / "cmake").rglob("*.cmake"))
    assert any(re.search(rf"\b{name}\b", path.read_text()) for path in files)


def test_the_upgraders_are_as_many_as_the_facts_say(tree):
    assert len(read_upgraders(tree)) == RELEASE.facts.scanned.upgraded
