from __future__ import annotations

import pytest
from samples import make_plan

from builder.api.building import _find_indexes
from builder.core.targets import parse_target
from builder.native.index import parse_index


@pytest.mark.parametrize(
    ("abi", "names"),
    [
        ("ios-arm64", ["symbols-2.6.0.txt", "symbols-2.6.0-ios.txt"]),
        ("ios-simulator-arm64", ["symbols-2.6.0.txt", "symbols-2.6.0-ios.txt"]),
        ("arm64-v8a", ["symbols-2.6.0.txt", "symbols-2.6.0-android.txt"]),
        ("linux-x86_64", ["symbols-2.6.0.txt"]),
    ],
)
def test_what_a_platform_defines_besides_is_in_an_index_of_its_own(abi, names):
    paths = _find_indexes(make_plan(target=parse_target(abi)))
    assert [path.name for path in paths] == names
    if len(paths) > 1:
        defined = parse_index(paths[1].read_text())
        assert defined["c10::demangle"] == ["c10/util/Type_no_demangle.cpp"]
