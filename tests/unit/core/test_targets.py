from __future__ import annotations

from builder.core.targets import TARGETS, parse_target


def test_targets_are_sorted_and_found_by_their_names():
    names = [target.abi for target in TARGETS]
    assert names == sorted(set(names))
    assert all(parse_target(target.abi) is target for target in TARGETS)
    assert "linux-x86_64" in map(str, TARGETS)


def test_other_names_are_no_targets():
    for name in ("", "x86_64", "linux", "linux-", "Linux-x86_64", "linux-x86_64 "):
        assert parse_target(name) is None
