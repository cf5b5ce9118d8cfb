from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_release

from builder.core.backends import Backend, Chosen
from builder.core.model_facts import BytecodeVersions
from builder.core.targets import parse_target

INDEXES = {name: Path(f"symbols-{name}.txt") for name in ("", "android", "ios")}


def test_options_of_cmake_are_the_facts_and_those_of_backends_sorted():
    backends = {
        name: Backend(name=name, label=name, chosen=Chosen.ALWAYS, cmake_options=options)
        for name, options in (("b", {"USE_B": "ON"}), ("a", {"A": "ON"}))
    }
    options = make_release(backends=backends).cmake_options
    assert list(options.items()) == [("A", "ON"), ("BUILD_TEST", "OFF"), ("USE_B", "ON")]


@pytest.mark.parametrize(
    ("abi", "names"),
    [
        ("linux-x86_64", [""]),
        ("arm64-v8a", ["", "android"]),
        ("ios-arm64", ["", "ios"]),
        ("ios-simulator-arm64", ["", "ios"]),
    ],
)
def test_a_platform_has_the_index_of_all_targets_and_its_own(abi, names):
    release = make_release(indexes=INDEXES)
    assert release.list_indexes(parse_target(abi)) == tuple(INDEXES[name] for name in names)


def test_a_range_of_bytecode_has_its_ends():
    readable = BytecodeVersions(min=4, max=9)
    assert [version for version in range(12) if version in readable] == [4, 5, 6, 7, 8, 9]
    assert str(readable) == "4 to 9"


def test_a_release_prints_shortly():
    assert repr(make_release()) == ("Release(version='2.6.0', folder=PosixPath('/releases/2.6.0'))")
